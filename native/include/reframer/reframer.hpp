// reframer.h for C++20: a stage that frees itself, spans, and a range of runs. Nothing but inline
// functions around the C interface; what each call promises is said there.
//
//   reframer::Stage<Packet> stage;
//   stage.push({.packets = packets, .data = data, .captured = captured}, now);
//   for (const auto &[group, run] : stage.poll(now, out, runs))
//       process(group); // std::span<Packet *>
#ifndef REFRAMER_REFRAMER_HPP
#define REFRAMER_REFRAMER_HPP

#if __cplusplus < 202002L
#error "reframer.hpp is for C++20: compile with -std=c++20"
#endif

#include <reframer/reframer.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace reframer {

// A stage that could not be made. what() says why; code() is the negative errno value.
class StageError : public std::runtime_error {
public:
	StageError(int code, const std::string &why) : std::runtime_error(why), code_(code) {}
	int code() const noexcept { return code_; }

private:
	int code_;
};

// Parameters with their defaults, to be changed: auto params = reframer::defaults();
inline reframer_params defaults()
{
	reframer_params params;
	reframer_default_params(&params);
	return params;
}

// Columns of a burst; all that are given have as many entries as `packets`. See reframer_burst.
template <typename T> struct Burst {
	std::span<T *const> packets;
	std::span<const uint8_t *const> data;
	std::span<const uint32_t> captured;
	std::span<const uint32_t> wire;
	std::span<const uint32_t> hash;
};

// Packets of one run.
template <typename T> struct Group {
	std::span<T *> packets;
	const reframer_run &run;
};

// What a poll gave out: a range of groups, in the arrays that were passed to it.
template <typename T> class Released {
public:
	class Iterator {
	public:
		using value_type = Group<T>;
		using difference_type = std::ptrdiff_t;
		Iterator() = default;
		Iterator(T **packets, const reframer_run *run) : packets_(packets), run_(run) {}
		Group<T> operator*() const { return {{packets_ + run_->first, run_->count}, *run_}; }
		Iterator &operator++()
		{
			++run_;
			return *this;
		}
		Iterator operator++(int)
		{
			Iterator before = *this;
			++run_;
			return before;
		}
		bool operator==(const Iterator &other) const { return run_ == other.run_; }

	private:
		T **packets_ = nullptr;
		const reframer_run *run_ = nullptr;
	};

	Released(std::span<T *> packets, std::span<const reframer_run> runs)
		: packets_(packets), runs_(runs)
	{
	}
	Iterator begin() const { return {packets_.data(), runs_.data()}; }
	Iterator end() const { return {packets_.data(), runs_.data() + runs_.size()}; }
	std::span<T *> packets() const { return packets_; }
	std::span<const reframer_run> runs() const { return runs_; }
	bool empty() const { return packets_.empty(); }

private:
	std::span<T *> packets_;
	std::span<const reframer_run> runs_;
};

// One core's stage. Moves, does not copy. T is what the caller's packets are.
template <typename T> class Stage {
public:
	// Throws StageError.
	explicit Stage(const reframer_params &params = defaults())
	{
		reframer_stage *made = nullptr;
		const int result = reframer_create(&params, &made);
		if (result != 0) {
			char why[128] = "";
			reframer_check(&params, why, sizeof(why));
			throw StageError(result, why[0] ? why : reframer_strerror(result));
		}
		stage_.reset(made);
	}

	// How many were accepted, from the front.
	uint32_t push(const Burst<T> &burst, uint64_t now_ns)
	{
		const reframer_burst columns = {
			reinterpret_cast<void *const *>(const_cast<Plain *const *>(burst.packets.data())),
			column(burst.data),
			column(burst.captured),
			column(burst.wire),
			column(burst.hash),
			static_cast<uint32_t>(burst.packets.size()),
		};
		return reframer_push(stage_.get(), &columns, now_ns);
	}

	// As many as there is room for in `out`; `runs` needs as much room.
	Released<T> poll(uint64_t now_ns, std::span<T *> out, std::span<reframer_run> runs)
	{
		return take(reframer_poll, now_ns, out, runs);
	}
	Released<T> drain(uint64_t now_ns, std::span<T *> out, std::span<reframer_run> runs)
	{
		return take(reframer_drain, now_ns, out, runs);
	}

	// UINT64_MAX: nothing is held.
	uint64_t next_deadline() const { return reframer_next_deadline(stage_.get()); }
	reframer_stats stats() const
	{
		reframer_stats stats;
		reframer_get_stats(stage_.get(), &stats);
		return stats;
	}
	// For what has no call here.
	reframer_stage *get() const { return stage_.get(); }

private:
	// The library hands packets through and never looks at them: they may be const.
	using Plain = std::remove_const_t<T>;

	struct Free {
		void operator()(reframer_stage *stage) const { reframer_free(stage); }
	};

	template <typename E> static const E *column(std::span<const E> entries)
	{
		return entries.empty() ? nullptr : entries.data();
	}

	template <typename Poll>
	Released<T> take(Poll poll, uint64_t now_ns, std::span<T *> out, std::span<reframer_run> runs)
	{
		auto nb_runs = static_cast<uint32_t>(runs.size());
		const uint32_t nb =
			poll(stage_.get(), now_ns, reinterpret_cast<void **>(const_cast<Plain **>(out.data())),
		         static_cast<uint32_t>(out.size()), runs.data(), &nb_runs);
		return {out.first(nb), runs.first(nb_runs)};
	}

	std::unique_ptr<reframer_stage, Free> stage_;
};

} // namespace reframer

#endif
