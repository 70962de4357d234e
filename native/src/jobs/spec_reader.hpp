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
#include <type_traits>
#include <utility>
#include <vector>

namespace reframer::lab {

// Thrown by finish() where the specification says `"checkOnly": true`: it is sound, and nothing is
// to be done about it. Not an std::exception: only the program's main loop may catch it.
struct SpecAccepted {};

// Words of a specification, and what they stand for.
template <typename T> using Words = std::initializer_list<std::pair<const char *, T>>;

template <typename T> const char *word(T value, Words<std::type_identity_t<T>> words)
{
	for (const auto &[name, known] : words)
		if (known == value)
			return name;
	return "";
}

class SpecReader {
public:
	SpecReader(const Json &object, std::string path) : object_(object), path_(std::move(path))
	{
		if (!object_.is_object())
			fail("", "must be an object");
	}

	bool has(const char *name) const { return object_.contains(name) && !object_[name].is_null(); }

	// These read over what the member is, which is the default.
	template <typename T>
	requires std::is_arithmetic_v<T>
	void read(const char *name, T &value, double low, double high)
	{
		value = static_cast<T>(
			number(name, static_cast<double>(value), low, high, std::is_integral_v<T>));
		understood_[name] = value;
	}
	void read(const char *name, bool &value) { value = boolean(name, value); }
	void read(const char *name, std::string &value) { value = text(name, value); }
	template <typename T>
	void read(const char *name, T &value, Words<std::type_identity_t<T>> words)
	{
		value = choice(name, value, words);
	}

	template <typename T = uint64_t> T integer(const char *name, T value, double low, double high)
	{
		read(name, value, low, high);
		return value;
	}

	double real(const char *name, double value, double low, double high)
	{
		read(name, value, low, high);
		return value;
	}

	bool boolean(const char *name, bool fallback)
	{
		const Json *v = take(name);
		if (v && !v->is_boolean())
			fail(name, "must be true or false");
		return (understood_[name] = v ? v->get<bool>() : fallback).get<bool>();
	}

	std::string text(const char *name, const std::string &fallback)
	{
		const Json *v = take(name);
		return (understood_[name] = v ? whole_text(name, *v, "must be a string") : fallback)
		    .get<std::string>();
	}

	// What no job can do without.
	std::string needed(const char *name, const char *what = "is missing")
	{
		const std::string given = text(name, "");
		if (given.empty())
			fail(name, what);
		return given;
	}

	template <typename Enum>
	Enum choice(const char *name, Enum fallback, Words<std::type_identity_t<Enum>> choices)
	{
		if (!has(name)) {
			seen_.insert(name);
			understood_[name] = word(fallback, choices);
			return fallback;
		}
		const std::string given = text(name, "");
		for (const auto &[word, value] : choices)
			if (given == word)
				return value;
		fail(name, "is '" + given + "', must be one of: " + listed(choices));
	}

	// A list of words, each a bit.
	uint32_t bits(const char *name, Words<uint32_t> known)
	{
		uint32_t all = 0;
		for (const uint32_t bit : several<uint32_t>(name, known, false))
			all |= bit;
		Json &words = understood_[name] = Json::array();
		for (const auto &[word, bit] : known)
			if (all & bit)
				words.push_back(word);
		return all;
	}

	// A list of at least one word; all that are known where it is absent.
	template <typename T> std::vector<T> several(const char *name, Words<T> known)
	{
		std::vector<T> values = several<T>(name, known, true);
		for (const auto &[word, value] : known)
			if (!has(name))
				values.push_back(value);
		return values;
	}

	// The member itself, for nested objects and arrays; null where it is absent.
	const Json *take(const char *name)
	{
		seen_.insert(name);
		return has(name) ? &object_[name] : nullptr;
	}

	// Numbers, each in range; at least one.
	template <std::unsigned_integral T>
	std::vector<T> integers(const char *name, std::vector<T> fallback, std::type_identity_t<T> low,
	                        std::type_identity_t<T> high)
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
		for (const Json &item : list(name, *v))
			out.push_back(whole_text(name, item, "must be a list of strings"));
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

	// What has been read, every default filled in.
	const Json &understood() const { return understood_; }

	[[noreturn]] void fail(const char *name, const std::string &what) const
	{
		std::string where = path_ + (*name && !path_.empty() ? "." : "") + name;
		throw JobError("bad-spec", (where.empty() ? "specification" : where) + " " + what, 2);
	}

private:
	// Of a name with a NUL byte the system would take what stands in front of it.
	std::string whole_text(const char *name, const Json &v, const char *must) const
	{
		if (!v.is_string())
			fail(name, must);
		const std::string &text = v.get_ref<const std::string &>();
		if (text.find('\0') != std::string::npos)
			fail(name, "is " + v.dump(-1, ' ', true) + ", must not hold a NUL byte");
		return text;
	}

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

	template <typename T> static std::string listed(Words<T> words)
	{
		std::string all;
		for (const auto &[word, value] : words)
			all += all.empty() ? word : std::string(", ") + word;
		return all;
	}

	template <typename T> std::vector<T> several(const char *name, Words<T> known, bool any)
	{
		std::vector<T> values;
		const Json *given = take(name);
		if (!given)
			return values;
		if (!given->is_array() || (any && given->empty()))
			fail(name, "must be a list of words: " + listed(known));
		for (const Json &item : *given) {
			const size_t before = values.size();
			for (const auto &[word, value] : known)
				if (item == word)
					values.push_back(value);
			if (values.size() == before)
				fail(name, "does not know " + item.dump() + ", only " + listed(known));
		}
		return values;
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
	Json understood_ = Json::object();
};

} // namespace reframer::lab
