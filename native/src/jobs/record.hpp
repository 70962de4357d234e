// Records whose members have the names that the program gives them: hold_max_us is holdMaxUs in JSON.
#pragma once

#include "jobs/job.hpp"

#include <string>
#include <string_view>

namespace reframer::lab {

// Of "r.hold_max_us" or "r->hold_max_us()": holdMaxUs.
inline std::string json_name(std::string_view expression)
{
	if (expression.ends_with("()"))
		expression.remove_suffix(2);
	if (const size_t at = expression.find_last_of(" .>"); at != expression.npos)
		expression.remove_prefix(at + 1);
	std::string name;
	bool raised = false;
	for (const char c : expression) {
		if (c != '_')
			name += raised ? static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) : c;
		raised = c == '_';
	}
	return name;
}

// See NAMED.
template <typename... T> Json named(std::string_view expressions, const T &...values)
{
	Json record = Json::object();
	const auto add = [&](const auto &value) {
		const size_t end = expressions.find(',');
		record[json_name(expressions.substr(0, end))] = value;
		expressions.remove_prefix(end == expressions.npos ? expressions.size() : end + 1);
	};
	(add(values), ...);
	return record;
}

// Members of both; those of the second count.
inline Json joined(Json record, const Json &more)
{
	record.update(more);
	return record;
}

} // namespace reframer::lab

// NAMED(r.packets, r.hold_max_us): {"packets": r.packets, "holdMaxUs": r.hold_max_us}. The last name
// of each expression counts; an expression has no comma of its own.
#define NAMED(...) ::reframer::lab::named(#__VA_ARGS__, __VA_ARGS__)
