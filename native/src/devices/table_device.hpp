// A device with an indirection table: what the balancer needs of it, whatever it is.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace reframer::engine {

// Why a device cannot be used. `unsupported`: this machine, device or user has no such thing, as
// opposed to a wrong option or a failure.
class DeviceError : public std::runtime_error {
public:
	DeviceError(std::string code, const std::string &what, bool unsupported)
		: std::runtime_error(what), code(std::move(code)), unsupported(unsupported)
	{
	}
	std::string code;
	bool unsupported;
};

class TableDevice {
public:
	virtual ~TableDevice() = default;

	virtual std::string name() const = 0;
	virtual uint32_t nb_queues() const = 0;
	virtual uint32_t table_size() const = 0;
	// Results are 0 or negative errno values.
	virtual int read_table(std::span<uint16_t> table) = 0;
	// Writes the entries in `changed`; a device that can only write more finds the rest in `table`.
	virtual int write_table(std::span<const uint16_t> table, std::span<const uint16_t> changed) = 0;
	// Monotonic packet counters by bucket, and the load of each queue's core since the last call.
	virtual int sample(std::span<uint64_t> packets, std::span<float> loads) = 0;
};

struct WriteOutcome {
	int error = 0;                 // of the write, or of the reading back
	std::vector<uint16_t> refused; // entries of `changed` that are not as they should be
};

// Writes and reads back: drivers round, roll back, or stop half way through.
WriteOutcome write_verified(TableDevice &device, std::span<const uint16_t> table,
                            std::span<const uint16_t> changed);

// Remembers the table that a device had and puts it back.
class FirstTable {
public:
	// @throws DeviceError when the table cannot be read.
	explicit FirstTable(TableDevice &device);
	~FirstTable();
	FirstTable(const FirstTable &) = delete;
	FirstTable &operator=(const FirstTable &) = delete;

	// Entries that the device did not take back; 0 when all is as it was.
	uint32_t restore();

private:
	TableDevice &device;
	std::vector<uint16_t> table;
};

} // namespace reframer::engine
