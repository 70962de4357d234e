// Writes the frames of the packet tests as fuzz inputs: packet_corpus FOLDER. The folder is
// committed; this is how it was made, and how it grows with the cases.
#include "packet/cases.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <string>

using namespace reframer;

namespace {

// The order of the links in packet_fuzz.cpp.
constexpr int links[] = {1, 0, 9, 50, 51, 101, 104, 108, 113, 228, 229, 276, 10};

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2) {
		std::fprintf(stderr, "usage: packet_corpus FOLDER\n");
		return 2;
	}
	char kind = 0;
	for (const test::Case &c : test::all_cases()) {
		const int *link = std::find(std::begin(links), std::end(links), static_cast<int>(c.link));
		if (link == std::end(links))
			continue;
		std::string name = c.name;
		for (char &letter : name)
			letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '-';
		std::ofstream file(std::string(argv[1]) + "/" + name, std::ios::binary);
		file.put(static_cast<char>(link - links));
		// Tunnels under the kind that enters them, the others under each in turn.
		file.put(c.inner.empty() ? kind++ & 3 : 3);
		file.write(reinterpret_cast<const char *>(c.frame.data()),
		           static_cast<std::streamsize>(c.frame.size()));
		if (!file) {
			std::fprintf(stderr, "cannot write %s/%s\n", argv[1], name.c_str());
			return 1;
		}
	}
	return 0;
}
