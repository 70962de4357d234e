#include "devices/table_device.hpp"

#include <cerrno>
#include <cstring>

namespace reframer::engine {

WriteOutcome write_verified(TableDevice &device, std::span<const uint16_t> table,
                            std::span<const uint16_t> changed)
{
	WriteOutcome outcome;
	if (table.size() != device.table_size()) {
		outcome.error = -EINVAL;
	} else {
		for (uint16_t bucket : changed)
			if (bucket >= table.size() || table[bucket] >= device.nb_queues())
				outcome.error = -EINVAL;
	}
	if (outcome.error == 0 && !changed.empty())
		outcome.error = device.write_table(table, changed);
	std::vector<uint16_t> actual(device.table_size());
	const int error = device.read_table(actual);
	if (outcome.error == 0)
		outcome.error = error;
	for (uint16_t bucket : changed)
		if (error != 0 || bucket >= actual.size() || bucket >= table.size() ||
		    actual[bucket] != table[bucket])
			outcome.refused.push_back(bucket);
	return outcome;
}

FirstTable::FirstTable(TableDevice &device) : device(device), table(device.table_size())
{
	const int error = device.read_table(table);
	if (error != 0)
		throw DeviceError("table-read",
		                  device.name() + ": its table cannot be read: " + std::strerror(-error),
		                  error == -EOPNOTSUPP);
}

FirstTable::~FirstTable()
{
	restore();
}

uint32_t FirstTable::restore()
{
	std::vector<uint16_t> now(table.size()), changed;
	// What cannot be read is written in full.
	const bool known = device.read_table(now) == 0;
	for (uint32_t b = 0; b < table.size(); b++)
		if (!known || now[b] != table[b])
			changed.push_back(uint16_t(b));
	return changed.empty() ? 0 : uint32_t(write_verified(device, table, changed).refused.size());
}

} // namespace reframer::engine
