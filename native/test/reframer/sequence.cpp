#include "sequence.hpp"

#include "described.hpp"
#include "model.hpp"
#include "places.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace reframer::test {

namespace {

void expect(bool right, const char *what)
{
	if (!right)
		throw Violation(what);
}

struct Freed {
	void operator()(reframer_stage *r) const { reframer_free(r); }
};

class Sequence {
public:
	Sequence(const Choose &from) : choose(from) { set_up(); }

	uint64_t run(const More &more)
	{
		while (more())
			one_step();
		finish();
		return pushed;
	}

private:
	struct Known {
		uint32_t flow;
		uint32_t wire;
		uint64_t arrival; // in the model's clock
		bool inside;
	};

	template <size_t N> uint64_t one_of(const std::array<uint64_t, N> &values)
	{
		return values[choose(N)];
	}

	void set_up()
	{
		reframer_default_params(&params);
		hashed = choose(2);
		params.policy = choose(3);
		params.key = hashed ? 0 : choose(3);
		params.delay_ns = one_of<5>({0, 1000, 16'000, 64'000, 500'000});
		// The large one is rare: making it takes longer than what is then done with it.
		params.max_packets = choose(32) ? static_cast<uint32_t>(one_of<3>({32, 100, 512})) : 4096;
		params.max_bytes = one_of<3>({5000, 100'000, 8u << 20});
		params.max_burst = static_cast<uint32_t>(one_of<5>({1, 2, 5, 128, 1u << 20}));
		params.lookahead = static_cast<uint32_t>(one_of<3>({0, 16, 128}));
		params.hash_seed = 1 + choose(1000);
		if (!hashed && choose(2)) {
			params.bypass = choose(32);
			params.early = choose(8);
			add_rules();
		}
		if (!hashed && choose(8) == 0)
			params.options = choose(4);
		// Now with hashes, now without: the model does not know what that releases.
		mixes = !params.options && params.key == 0 && choose(8) == 0;
		exact = params.options == 0 && !mixes;
		nb_flows = static_cast<uint32_t>(one_of<4>({1, 8, 100, 400}));
		in_slots = params.bypass || params.early || params.nb_rules || params.options;
		places.emplace(params.max_packets, params.hash_seed, in_slots, nb_flows);
		reframer_stage *created = nullptr;
		expect(reframer_create(&params, &created) == 0, "create");
		r.reset(created);
		model = std::make_unique<Model>(params);
		last_out.assign(nb_flows, 0);
		longest = params.delay_ns;
		for (const reframer_rule &rule : rules)
			longest = std::max(longest, rule.delay_ns);
		caller_now = one_of<3>({0, 5'000'000'000, 1'700'000'000'000'000'000});
	}

	void add_rules()
	{
		const uint32_t n = choose(4);
		for (uint32_t i = 0; i < n; i++) {
			reframer_rule rule = {};
			switch (choose(4)) {
			case 0:
				rule.dscp_plus_one = 47;
				break;
			case 1:
				rule.port_low = 443;
				rule.port_high = 443;
				break;
			case 2:
				rule.protocol = 17;
				break;
			default:
				rule.ip_version = 4;
				rule.prefix_length = 28;
				rule.address[0] = 10;
			}
			rule.delay_ns = one_of<4>({0, 2000, 64'000, 200'000});
			rules.push_back(rule);
		}
		params.rules = rules.data();
		params.nb_rules = n;
	}

	void push()
	{
		const uint32_t n = choose(8) == 0 ? 1 + choose(300) : 1 + choose(64);
		if (n > params.max_packets) // more than is promised to be accepted
			return;
		if (mixes && choose(8) == 0)
			hashed = !hashed;
		std::vector<void *> packets(n);
		std::vector<const uint8_t *> data(n);
		std::vector<uint32_t> length(n), hash(n);
		std::vector<ModelPacket> described(n);
		const uint64_t first = known.size();
		uint32_t flow = choose(nb_flows), train = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (train-- == 0) {
				flow = choose(nb_flows);
				train = choose(4);
			}
			// Rare variants are rare: runs must be able to grow.
			const uint32_t variant = choose(4) ? choose(2) : choose(nb_variants);
			const Bytes &frame = frames().of(flow, variant);
			packets[i] = reinterpret_cast<void *>(first + i + 1);
			data[i] = frame.data();
			length[i] = static_cast<uint32_t>(frame.size());
			described[i] = hashed ? ModelPacket{first + i, flow * 0x01000193u, length[i]}
			                      : describe(params, first + i, flow, variant, frame);
			hash[i] = described[i].hash;
			exact = exact && places->place(flow, hash[i], hashed);
			known.push_back({flow, length[i], 0, true});
		}
		const bool no_headers = hashed && !in_slots; // needed where a policy looks at packets
		const reframer_burst burst = {packets.data(),
		                              no_headers ? nullptr : data.data(),
		                              no_headers ? nullptr : length.data(),
		                              length.data(),
		                              hashed ? hash.data() : nullptr,
		                              n};
		pushed += n;
		if (reframer_passes(r.get()) && choose(2)) { // the stage is left out
			expect(inside == 0, "packets that may not pass");
			reframer_pass(r.get(), &burst, caller_now);
			expect(model->pass(caller_now) || !exact, "packets that may not pass");
			for (uint32_t i = 0; i < n; i++)
				leave(first + i);
			reframer_stats stats;
			reframer_get_stats(r.get(), &stats);
			model->set_delay(stats.delay_ns);
			return;
		}
		reframer_stats before, after;
		reframer_get_stats(r.get(), &before);
		expect(reframer_push(r.get(), &burst, caller_now) == n, "a push was refused");
		reframer_get_stats(r.get(), &after);
		if (after.passed == before.passed) {
			model->push(described, hashed, caller_now);
		} else {
			expect(after.passed == before.passed + n, "a burst that passes in part");
			expect(model->push_straight(described, caller_now) || !exact,
			       "packets that may not pass");
		}
		for (uint32_t i = 0; i < n; i++)
			known[first + i].arrival = model->now;
		full_poll_due = true;
	}

	// @return true if all that was due came out.
	bool take(bool drain, uint32_t room, uint32_t run_room)
	{
		// Room as promised and not a word more: a sanitizer sees what is written beyond it.
		std::vector<void *> out(room);
		// Not NULL where it is empty: then runs would not be wanted at all.
		const auto room_for_runs = std::make_unique<reframer_run[]>(run_room);
		const std::span runs(room_for_runs.get(), run_room);
		uint32_t nb_runs = run_room;
		const uint32_t n =
			drain ? reframer_drain(r.get(), caller_now, out.data(), room, runs.data(), &nb_runs)
				  : reframer_poll(r.get(), caller_now, out.data(), room, runs.data(), &nb_runs);
		expect(n <= room && nb_runs <= run_room, "more than there is room for");
		if (drain)
			model->drain(caller_now, room, run_room);
		else
			model->poll(caller_now, room, run_room);
		check_runs(runs, nb_runs, n);
		for (uint32_t i = 0; i < n; i++)
			leave(reinterpret_cast<uint64_t>(out[i]) - 1);
		if (exact)
			compare(out, n, runs, nb_runs);
		reframer_stats stats;
		reframer_get_stats(r.get(), &stats);
		model->set_delay(stats.delay_ns); // moves under the adaptive policy
		expect(stats.delay_ns <= longest, "T above its budget");
		expect(!exact || reframer_next_deadline(r.get()) == model->next_deadline(),
		       "model: next deadline");
		return n < room && nb_runs < run_room;
	}

	void check_runs(std::span<const reframer_run> runs, uint32_t nb_runs, uint32_t n)
	{
		uint32_t at = 0;
		for (uint32_t i = 0; i < nb_runs; i++) {
			expect(runs[i].first == at && runs[i].count > 0, "runs do not cover the output");
			expect(runs[i].reason < REFRAMER_NB_REASONS, "reason of a run");
			at += runs[i].count;
		}
		expect(at == n, "runs do not cover the output");
	}

	void leave(uint64_t id)
	{
		expect(id < known.size() && known[id].inside, "a packet left twice, or never came");
		known[id].inside = false;
		inside--;
		if (params.options & REFRAMER_OPT_TCP_REPAIR)
			return;
		uint64_t &last = last_out[known[id].flow];
		expect(last <= id, "order within a flow");
		last = id + 1;
	}

	void compare(const std::vector<void *> &out, uint32_t n, std::span<const reframer_run> runs,
	             uint32_t nb_runs)
	{
		if (model->out.size() != n)
			throw Violation("model: number of packets, " + std::to_string(n) + " for " +
			                std::to_string(model->out.size()));
		for (uint32_t i = 0; i < n; i++)
			expect(reinterpret_cast<uint64_t>(out[i]) == model->out[i] + 1, "model: packet");
		expect(model->runs.size() == nb_runs, "model: number of runs");
		for (uint32_t i = 0; i < nb_runs; i++)
			expect(ModelRun{runs[i].first, runs[i].count, runs[i].hash, runs[i].reason} ==
			           model->runs[i],
			       "model: run");
	}

	// Nothing stays beyond its T once a poll has given out all that is due; nothing beyond capacity.
	void check_bounds()
	{
		while (oldest < known.size() && !known[oldest].inside)
			oldest++;
		if (oldest < known.size())
			expect(longest > 0 && model->now - known[oldest].arrival < longest, "held beyond T");
		reframer_stats stats;
		reframer_get_stats(r.get(), &stats);
		expect(stats.packets_held <= params.max_packets, "more held than max_packets");
		expect(stats.bytes_held <= params.max_bytes, "more held than max_bytes");
		expect(stats.packets_held_max <= params.max_packets, "packets_held_max");
		expect(stats.groups_held <= stats.packets_held, "groups held");
		expect(stats.packets_in == pushed && stats.packets_held == inside, "packets held");
	}

	void poll_all()
	{
		while (!take(false, 64 + choose(512), 64 + choose(512)))
			;
		take_thinned();
		check_bounds();
	}

	void take_thinned()
	{
		void *out[64];
		for (uint32_t n; (n = reframer_take_thinned(r.get(), out, 64)) > 0; thinned += n)
			for (uint32_t i = 0; i < n; i++)
				leave_thinned(reinterpret_cast<uint64_t>(out[i]) - 1);
	}

	void leave_thinned(uint64_t id)
	{
		expect(params.options & REFRAMER_OPT_ACK_THINNING, "thinned without being asked");
		expect(id < known.size() && known[id].inside, "a thinned packet left twice");
		known[id].inside = false;
		inside--;
	}

	void one_step()
	{
		switch (choose(16)) {
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
		case 5:
			if (full_poll_due) // as reframer_push() wants it, for all packets to be accepted
				poll_all();
			push();
			inside = inside_now();
			break;
		case 6:
		case 7:
		case 8:
			caller_now += choose(20'000);
			break;
		case 9:
			caller_now += one_of<4>({params.delay_ns, 1'000'000, 5'000'000'000, 100});
			break;
		case 10:
			caller_now -= std::min(caller_now, one_of<3>({100, 9'000'000, 3'000'000'000}));
			break;
		case 11:
		case 12:
			take(false, choose(40), choose(20));
			break;
		case 13:
			poll_all();
			break;
		case 14:
			rarely();
			break;
		default:
			caller_now += choose(2000);
			poll_all();
		}
	}

	uint64_t inside_now() const
	{
		return static_cast<uint64_t>(std::count_if(known.begin() + static_cast<ptrdiff_t>(oldest),
		                                           known.end(),
		                                           [](const Known &k) { return k.inside; }));
	}

	void rarely()
	{
		switch (choose(6)) {
		case 0: {
			const uint32_t mask = choose(2) ? 127 : 1, value = choose(mask + 1);
			const uint32_t n = reframer_release_bucket(r.get(), mask, value);
			const uint32_t right = model->release_bucket(mask, value);
			expect(!exact || n == right, "model: groups of a bucket");
			break;
		}
		case 1: {
			const uint32_t policy = choose(3);
			const uint64_t delay = one_of<4>({0, 8000, 64'000, 300'000});
			expect(reframer_set_policy(r.get(), policy, delay) == 0, "set policy");
			model->set_policy(policy, delay);
			longest = std::max(longest, delay);
			break;
		}
		case 2:
			take(true, choose(100), choose(100));
			break;
		case 3: {
			const uint32_t cycles = choose(1000);
			const reframer_load load = {choose(256), 256, cycles, 1000, choose(64)};
			reframer_report_load(r.get(), &load);
			break;
		}
		case 4:
			drain_all();
			break;
		default:
			take_thinned();
		}
	}

	void drain_all()
	{
		while (!take(true, 256, 256))
			;
		take_thinned();
		expect(inside == 0, "drained and not empty");
		expect(reframer_next_deadline(r.get()) == UINT64_MAX, "deadline of nothing");
	}

	void finish()
	{
		drain_all();
		reframer_stats s;
		reframer_get_stats(r.get(), &s);
		expect(s.packets_in == pushed && s.packets_held == 0 && s.groups_held == 0 &&
		           s.bytes_held == 0,
		       "conservation");
		expect(s.packets_out + s.packets_thinned == s.packets_in && s.packets_thinned == thinned,
		       "conservation");
		expect(params.options || s.bytes_in == s.bytes_out, "bytes");
		uint64_t held = 0;
		uint64_t holds[REFRAMER_HISTOGRAM_BUCKETS];
		reframer_hold_histogram(r.get(), holds, REFRAMER_HISTOGRAM_BUCKETS);
		for (const uint64_t count : holds)
			held += count;
		expect(held == s.packets_out, "hold histogram");
		expect(s.clock_backwards == model->backwards, "steps of the clock");
		expect(!exact || s.bypassed == model->bypassed, "model: bypassed packets");
		expect(s.runs_out <= s.packets_out && s.runs_in <= s.packets_in, "runs");
	}

	const Choose &choose;
	reframer_params params;
	std::vector<reframer_rule> rules;
	std::unique_ptr<reframer_stage, Freed> r;
	std::unique_ptr<Model> model;
	bool hashed = false, mixes = false, in_slots = false, exact = false, full_poll_due = false;
	uint32_t nb_flows = 0;
	uint64_t caller_now = 0, longest = 0, pushed = 0, thinned = 0, inside = 0;
	std::vector<Known> known;
	size_t oldest = 0; // nothing before it is inside
	std::vector<uint64_t> last_out;
	std::optional<Places> places;
};

} // namespace

uint64_t run_sequence(const Choose &choose, const More &more)
{
	return Sequence(choose).run(more);
}

} // namespace reframer::test
