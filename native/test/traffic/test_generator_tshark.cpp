// Generated captures in front of an independent decoder. Skips, saying so, without tshark.
#include "traffic/capture_writer.hpp"
#include "traffic/generator.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

using namespace reframer;
using namespace reframer::traffic;

namespace {

// Lines that a command prints; a negative number when it fails.
long count_lines(const std::string &command)
{
	FILE *pipe = popen((command + " 2>/dev/null").c_str(), "r");
	if (!pipe)
		return -1;
	long lines = 0;
	for (int c; (c = std::fgetc(pipe)) != EOF;)
		lines += c == '\n';
	return pclose(pipe) == 0 ? lines : -1;
}

} // namespace

TEST_CASE("tshark finds every checksum good and nothing malformed")
{
	if (count_lines("tshark --version") <= 0) {
		MESSAGE("skipped: tshark is not installed");
		return;
	}
	const std::filesystem::path file = std::filesystem::temp_directory_path() /
	                                   ("reframer-generated-" + std::to_string(getpid()) + ".pcap");
	for (Profile profile : {Profile::campus, Profile::clients, Profile::uniform}) {
		GeneratorParams p;
		p.profile = profile;
		p.packets = 20000;
		Generator generator(p);
		CaptureWriter writer(file.string());
		std::vector<packet::Frame> burst(64);
		while (const size_t n = generator.read(burst.data(), burst.size()))
			for (size_t i = 0; i < n; i++)
				writer.write(burst[i], burst[i].time_ns, {});
		writer.finish();
		const std::string tshark = "tshark -r '" + file.string() +
		                           "' -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE"
		                           " -o udp.check_checksum:TRUE -Y ";
		CHECK(count_lines(tshark + "'ip.checksum.status==0 || tcp.checksum.status==0 ||"
		                           " udp.checksum.status==0 || _ws.malformed'") == 0);
		CHECK(count_lines(tshark + "'tcp.checksum.status==1 || udp.checksum.status==1'") == 20000);
	}
	std::filesystem::remove(file);
}
