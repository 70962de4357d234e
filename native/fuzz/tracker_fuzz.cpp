// Any bytes as calls on a flow tracker, checked against the obvious map. The first byte names the
// tracker (or all of them, one after the other), the second the size of its keys.
#include "bytes.hpp"
#include "conntrack/contenders/tracker.hpp"

#include <array>
#include <string>

using namespace reframer::conntrack;
using reframer::fuzz::Bytes;

namespace {

constexpr uint32_t nb_flows = 256, largest_call = 70; // more than two bursts

void expect(bool right, const char *what)
{
	reframer::fuzz::expect(right, "tracker", what);
}

// Names of this build but those that need DPDK: its memory is made once a process and cannot be
// watched by a sanitizer.
const std::vector<std::string> &names()
{
	static const std::vector<std::string> own = [] {
		std::vector<std::string> list;
		for (const std::string &name : tracker_names())
			if (!name.starts_with("rte-hash"))
				list.push_back(name);
		return list;
	}();
	return own;
}

// The obvious map: keys are numbers, and no stamp is 0.
class Model {
public:
	uint64_t find(uint32_t number) const { return stamps_[number]; }
	// @return whether it was new.
	bool store(uint32_t number, uint64_t stamp)
	{
		const bool is_new = stamps_[number] == 0;
		stamps_[number] = stamp;
		size_ += is_new;
		return is_new;
	}
	bool erase(uint32_t number)
	{
		const bool there = stamps_[number] != 0;
		stamps_[number] = 0;
		size_ -= there;
		return there;
	}
	uint32_t size() const { return size_; }

private:
	std::array<uint64_t, nb_flows> stamps_{};
	uint32_t size_ = 0;
};

void write_key(uint8_t *key, uint32_t size, uint32_t number)
{
	std::memset(key, 0, size);
	std::memcpy(key, &number, 4);
	const uint64_t other = number * 0xd6e8feb86659fd93u ^ number >> 7;
	std::memcpy(key + size - 8, &other, 8);
}

void run(const std::string &name, uint32_t key_size, Bytes in)
{
	TrackerOptions options;
	options.flows = nb_flows;
	options.key_size = key_size;
	const std::unique_ptr<Tracker> tracker = make_tracker(name, options);
	Model model;
	uint32_t numbers[largest_call];
	// Blocks of their own: the sanitizer sees the first byte too far.
	for (uint64_t stamp = 1; !in.empty(); stamp++) {
		const uint32_t operation = in.byte();
		const uint32_t n = operation & 0x80 ? 1 + in.below(largest_call) : 1;
		std::vector<uint8_t> keys(n * key_size), results(n, 77);
		std::vector<uint64_t> values(n);
		// A burst is a start and a stride: a byte makes many keys.
		uint32_t number = in.byte();
		const uint32_t stride = n > 1 ? in.byte() : 0;
		for (uint32_t i = 0; i < n; i++, number += stride) {
			numbers[i] = number % nb_flows;
			write_key(&keys[i * key_size], key_size, numbers[i]);
		}
		uint32_t expected = 0;
		switch (operation % 3) {
		case 0: {
			const uint32_t inserted = tracker->track(keys.data(), n, stamp, results.data());
			for (uint32_t i = 0; i < n; i++) {
				expect(results[i] <= 1, "no room below the size that was asked for");
				const bool added = model.store(numbers[i], stamp);
				expect(results[i] == added, "new or known");
				expected += added;
			}
			expect(inserted == expected, "number of new flows");
			break;
		}
		case 1: {
			const uint32_t found = tracker->find(keys.data(), n, values.data(), results.data());
			for (uint32_t i = 0; i < n; i++) {
				const uint64_t stored = model.find(numbers[i]);
				expect(results[i] == (stored != 0), "found or not");
				if (stored)
					expect(values[i] == stored, "state");
				expected += stored != 0;
			}
			expect(found == expected, "number of flows found");
			break;
		}
		default:
			for (uint32_t i = 0; i < n; i++)
				expected += model.erase(numbers[i]);
			expect(tracker->remove(keys.data(), n) == expected, "number of flows removed");
		}
		expect(tracker->flows() == model.size(), "number of flows");
	}
	// Whatever happened to a flow since the last call that named it.
	std::vector<uint8_t> keys(nb_flows * key_size), found(nb_flows);
	std::vector<uint64_t> values(nb_flows);
	for (uint32_t number = 0; number < nb_flows; number++)
		write_key(&keys[number * key_size], key_size, number);
	tracker->find(keys.data(), nb_flows, values.data(), found.data());
	for (uint32_t number = 0; number < nb_flows; number++)
		expect(found[number] ? values[number] == model.find(number) : model.find(number) == 0,
		       "flows at the end");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > 1000)
		return 0;
	Bytes in(data, size);
	const uint32_t which = in.below(uint32_t(names().size()) + 1);
	const uint32_t key_size = in.byte() & 1 ? 40 : 16;
	if (which < names().size())
		run(names()[which], key_size, in);
	else
		for (const std::string &name : names())
			run(name, key_size, in);
	return 0;
}
