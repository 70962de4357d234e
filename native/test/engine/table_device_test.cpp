// Writing, reading back and undoing, on devices that obey, round, refuse, or stop half way through.
#include "devices/table_device.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

using namespace reframer::engine;

namespace {

struct MemoryDevice final : TableDevice {
	explicit MemoryDevice(uint32_t entries) : table(entries) {}

	std::string name() const override { return "memory"; }
	uint32_t nb_queues() const override { return 4; }
	uint32_t table_size() const override { return uint32_t(table.size()); }
	int read_table(std::span<uint16_t> out) override
	{
		std::copy(table.begin(), table.end(), out.begin());
		return read_error;
	}
	int write_table(std::span<const uint16_t> wanted, std::span<const uint16_t> changed) override
	{
		writes++;
		uint32_t done = 0;
		for (uint16_t b : changed) {
			if (done++ == takes)
				return write_error;
			table[b] = rounds ? uint16_t(wanted[b] & ~1u) : wanted[b];
		}
		return 0;
	}
	int sample(std::span<uint64_t>, std::span<float>) override { return 0; }

	std::vector<uint16_t> table;
	uint32_t takes = UINT32_MAX, writes = 0; // entries that a write takes before it fails
	int write_error = -EIO, read_error = 0;
	bool rounds = false;
};

} // namespace

TEST_CASE("a write that succeeds is verified")
{
	MemoryDevice device(64);
	std::vector<uint16_t> wanted(64, 3);
	const WriteOutcome outcome = write_verified(device, wanted, std::vector<uint16_t>{1, 63});
	CHECK(outcome.error == 0);
	CHECK(outcome.refused.empty());
	CHECK(device.table[1] == 3);
	CHECK(device.table[2] == 0);
}

TEST_CASE("a write that stops half way through names what is missing")
{
	MemoryDevice device(64);
	device.takes = 2;
	const WriteOutcome outcome =
		write_verified(device, std::vector<uint16_t>(64, 2), std::vector<uint16_t>{7, 8, 9, 10});
	CHECK(outcome.error == -EIO);
	CHECK(outcome.refused == std::vector<uint16_t>{9, 10});
}

TEST_CASE("entries that a device changed on its own are noticed")
{
	MemoryDevice device(64);
	device.rounds = true;
	std::vector<uint16_t> wanted(64, 2);
	wanted[5] = 3;
	const WriteOutcome outcome = write_verified(device, wanted, std::vector<uint16_t>{4, 5});
	CHECK(outcome.error == 0);
	CHECK(outcome.refused == std::vector<uint16_t>{5});
}

TEST_CASE("a table of the wrong size, an entry or a queue that there is not, are not written")
{
	MemoryDevice device(64);
	const std::vector<uint16_t> one = {1}, beyond = {64};
	CHECK(write_verified(device, std::vector<uint16_t>(128), one).error == -EINVAL);
	CHECK(write_verified(device, std::vector<uint16_t>(64, 1), beyond).error == -EINVAL);
	const WriteOutcome outcome = write_verified(device, std::vector<uint16_t>(64, 4), one);
	CHECK(outcome.error == -EINVAL);
	CHECK(outcome.refused == one);
	CHECK(device.writes == 0);
}

TEST_CASE("what cannot be read back counts as refused")
{
	MemoryDevice device(64);
	device.read_error = -ENODEV;
	const WriteOutcome outcome =
		write_verified(device, std::vector<uint16_t>(64, 1), std::vector<uint16_t>{1});
	CHECK(outcome.error == -ENODEV);
	CHECK(outcome.refused.size() == 1);
	CHECK_THROWS_AS(FirstTable{device}, DeviceError);
}

TEST_CASE("the first table is put back, at the end of its scope too")
{
	MemoryDevice device(64);
	for (uint32_t b = 0; b < 64; b++)
		device.table[b] = uint16_t(b % 3);
	const std::vector<uint16_t> first = device.table;
	{
		FirstTable undo(device);
		device.table.assign(64, 3);
		CHECK(undo.restore() == 0);
		CHECK(device.table == first);
		const uint32_t writes = device.writes;
		CHECK(undo.restore() == 0); // nothing to write
		CHECK(device.writes == writes);
		device.table.assign(64, 1);
	}
	CHECK(device.table == first);
	{
		FirstTable undo(device);
		device.table[9] = 3;
		device.takes = 0;
		CHECK(undo.restore() == 1);
		device.takes = UINT32_MAX;
	}
	CHECK(device.table == first);
}
