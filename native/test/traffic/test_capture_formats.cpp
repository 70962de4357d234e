// Published captures in every variant, where the collection is there.
#include "capture_bytes.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace reframer;
using namespace reframer::test;

namespace {

// Beside the repository; the tests run somewhere inside it.
std::filesystem::path collection()
{
	for (auto at = std::filesystem::current_path(); at.has_relative_path(); at = at.parent_path())
		if (std::filesystem::is_directory(at / "shared/traces/formats"))
			return at / "shared/traces";
	return {};
}

} // namespace

TEST_CASE(
	"published captures: sound ones are read whole, broken ones refused or read to the damage")
{
	const auto folder = collection();
	if (folder.empty()) {
		MESSAGE("skipped: no ../shared/traces");
		return;
	}
	size_t sound = 0, broken = 0;
	for (const auto &entry : std::filesystem::recursive_directory_iterator(folder)) {
		const std::string name = entry.path().filename();
		const bool formats = entry.path().parent_path().filename() == "formats";
		if (!entry.is_regular_file() || (!formats && entry.path().extension() != ".pcap"))
			continue;
		CAPTURE(name);
		const ReadResult r = read_file(entry.path());
		if (name.starts_with("broken-")) {
			CHECK(r.code != "");
			CHECK(r.offset >= 0);
			CHECK(r.packets.size() <= 40);
			broken++;
		} else {
			CHECK(r.message == "");
			sound++;
		}
	}
	CHECK(sound > 100);
	CHECK(broken > 15);
	const auto count = [&](const char *name) {
		return read_file(folder / "formats" / name).packets.size();
	};
	CHECK(count("broken-cut-in-record-data.pcap") == 40);
	CHECK(count("broken-cut-block.pcapng") == 39);
	CHECK(count("broken-zeros-after-records.pcap") == 40);
	CHECK(count("ok-oversize-262144.pcap") == 41);
	CHECK(count("llc.pcap") == 1333);
	CHECK(count("tun-gre-in-gre.pcap") == 628);
	CHECK(count("compressed-dns.pcap.xz") == 133);
}

TEST_CASE("the same packets in four formats are the same")
{
	const auto folder = collection();
	if (folder.empty()) {
		MESSAGE("skipped: no ../shared/traces");
		return;
	}
	const auto base = read_file(folder / "formats/pcap-le-us-100.pcap").packets;
	REQUIRE(base.size() == 100);
	for (const char *name : {"pcap-le-ns-100.pcap", "pcapng-100.pcapng", "erf-100.erf"}) {
		CAPTURE(name);
		const auto twin = read_file(folder / "formats" / name).packets;
		REQUIRE(twin.size() == 100);
		for (size_t i = 0; i < 100; i++) {
			CHECK(twin[i].wire == base[i].wire);
			// ERF counts in 2^-32 s, and the conversion at the source was off by some us.
			CHECK(std::abs(static_cast<int64_t>(twin[i].time_ns - base[i].time_ns)) < 10'000);
			CHECK(twin[i].data.size() == base[i].data.size());
			// The IP header; some link addresses and ports of the ERF file differ at the source.
			CHECK(std::equal(base[i].data.begin() + 14, base[i].data.begin() + 34,
			                 twin[i].data.begin() + 14));
		}
	}
}
