// Runs a fuzz target over the files and folders given, without libFuzzer: the committed corpus is
// a test of every build, whatever its compiler.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size);

namespace fs = std::filesystem;

int main(int argc, char **argv)
{
	std::vector<fs::path> files;
	for (int i = 1; i < argc; i++) {
		if (fs::is_directory(argv[i]))
			for (const auto &entry : fs::directory_iterator(argv[i]))
				files.push_back(entry.path());
		else
			files.emplace_back(argv[i]);
	}
	std::sort(files.begin(), files.end());
	for (const fs::path &file : files) {
		std::ifstream stream(file, std::ios::binary);
		if (!stream) {
			std::fprintf(stderr, "cannot read %s\n", file.c_str());
			return 1;
		}
		const std::vector<char> bytes((std::istreambuf_iterator<char>(stream)), {});
		// After a crash the last line names its input.
		std::fprintf(stderr, "%s\n", file.filename().c_str());
		LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
	}
	std::printf("%zu passed, 0 failed\n", files.size());
	return files.empty() ? 1 : 0;
}
