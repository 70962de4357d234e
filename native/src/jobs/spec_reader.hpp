// Reads a job's specification strictly: a wrong type, a value out of range or a name that nobody
// asked for is an error that says where it is.
#pragma once

#include "jobs/job.hpp"

#include <cmath>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace reframer::lab {

// Thrown by finish() where the specification says `"checkOnly": true`: it is sound, and nothing is
// to be done about it. Not an std::exception: only the program's main loop may catch it.
struct SpecAccepted {};

class SpecReader {
public:
	SpecReader(const Json &object, std::string path) : object_(object), path_(std::move(path))
	{
		if (!object_.is_object())
			fail("", "must be an object");
	}

	bool has(const char *name) const { return object_.contains(name) && !object_[name].is_null(); }

	uint64_t integer(const char *name, uint64_t fallback, uint64_t low, uint64_t high)
	{
		return static_cast<uint64_t>(number(name, static_cast<double>(fallback),
		                                    static_cast<double>(low), static_cast<double>(high),
		                                    true));
	}

	double real(const char *name, double fallback, double low, double high)
	{
		return number(name, fallback, low, high, false);
	}

	bool boolean(const char *name, bool fallback)
	{
		const Json *v = take(name);
		if (!v)
			return fallback;
		if (!v->is_boolean())
			fail(name, "must be true or false");
		return v->get<bool>();
	}

	std::string text(const char *name, const std::string &fallback)
	{
		const Json *v = take(name);
		if (!v)
			return fallback;
		if (!v->is_string())
			fail(name, "must be a string");
		return v->get<std::string>();
	}

	template <typename Enum>
	Enum choice(const char *name, Enum fallback,
	            std::initializer_list<std::pair<const char *, Enum>> choices)
	{
		if (!has(name)) {
			seen_.insert(name);
			return fallback;
		}
		std::string given = text(name, ""), allowed;
		for (const auto &[word, value] : choices) {
			if (given == word)
				return value;
			allowed += allowed.empty() ? word : std::string(", ") + word;
		}
		fail(name, "is '" + given + "', must be one of: " + allowed);
	}

	// The member itself, for nested objects and arrays; null where it is absent.
	const Json *take(const char *name)
	{
		seen_.insert(name);
		return has(name) ? &object_[name] : nullptr;
	}

	// Numbers, each in range; at least one.
	template <std::unsigned_integral T>
	std::vector<T> integers(const char *name, std::vector<T> fallback, T low, T high)
	{
		const Json *v = take(name);
		if (!v)
			return fallback;
		std::vector<T> out;
		for (const Json &item : list(name, *v))
			out.push_back(static_cast<T>(
				in_range(name, item, static_cast<double>(low), static_cast<double>(high), true)));
		return out;
	}

	// Strings; at least one.
	std::vector<std::string> texts(const char *name, std::vector<std::string> fallback)
	{
		const Json *v = take(name);
		if (!v)
			return fallback;
		std::vector<std::string> out;
		for (const Json &item : list(name, *v)) {
			if (!item.is_string())
				fail(name, "must be a list of strings");
			out.push_back(item.get<std::string>());
		}
		return out;
	}

	// To be called after the last member was read and judged, before anything is done.
	void finish()
	{
		const bool check_only = path_.empty() && boolean("checkOnly", false);
		for (const auto &[name, value] : object_.items())
			if (!seen_.count(name))
				fail(name.c_str(), "is not known here");
		if (check_only)
			throw SpecAccepted{};
	}

	[[noreturn]] void fail(const char *name, const std::string &what) const
	{
		std::string where = path_ + (*name && !path_.empty() ? "." : "") + name;
		throw JobError("bad-spec", (where.empty() ? "specification" : where) + " " + what, 2);
	}

private:
	double number(const char *name, double fallback, double low, double high, bool whole)
	{
		const Json *v = take(name);
		return v ? in_range(name, *v, low, high, whole) : fallback;
	}

	double in_range(const char *name, const Json &v, double low, double high, bool whole) const
	{
		if (!v.is_number())
			fail(name, "must be a number");
		const double value = v.get<double>();
		if (!(value >= low && value <= high)) {
			const auto text = [](double bound) {
				return bound == std::floor(bound) && std::abs(bound) < 1e15
				           ? Json(static_cast<int64_t>(bound)).dump()
				           : Json(bound).dump();
			};
			fail(name, "is " + v.dump() + ", must be from " + text(low) + " to " + text(high));
		}
		// In range, so the conversion is defined.
		if (whole && value != static_cast<double>(static_cast<int64_t>(value)))
			fail(name, "must be a whole number");
		return value;
	}

	const Json &list(const char *name, const Json &v) const
	{
		if (!v.is_array() || v.empty())
			fail(name, "must be a list of at least one");
		return v;
	}

	const Json &object_;
	std::string path_;
	std::set<std::string> seen_;
};

} // namespace reframer::lab
