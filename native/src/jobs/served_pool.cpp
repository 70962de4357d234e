#include "jobs/served_pool.hpp"

#include "jobs/mac.hpp"
#include "jobs/record.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace reframer::lab {

namespace {

// One address, or a list with one of each family.
void read_addresses(SpecReader &in, const char *name, uint8_t v4[4], uint8_t v6[16])
{
	bool has_v4 = false, has_v6 = false;
	const Json *given = in.take(name);
	for (const Json &one :
	     given && given->is_array() ? *given : Json::array({given ? *given : Json()})) {
		const std::string text = one.is_string() ? one.get<std::string>() : "";
		const bool is_v6 = text.find(':') != std::string::npos;
		bool &has = is_v6 ? has_v6 : has_v4;
		if (has || inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), is_v6 ? v6 : v4) != 1)
			in.fail(name, "must be an IP address, or one of each family");
		has = true;
	}
	if (!has_v4 && !has_v6)
		in.fail(name, "is missing");
}

void read_hex(SpecReader &in, const char *name, const std::string &text, uint8_t *bytes, size_t n)
{
	if (text.size() != 2 * n ||
	    !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); }))
		in.fail(name, "must have " + std::to_string(2 * n) + " hex digits");
	for (size_t i = 0; i < n; i++)
		bytes[i] = static_cast<uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
}

// As servers make their connection ids.
balancer_quic read_quic(const Json &json, balancer_params &params)
{
	balancer_quic q;
	balancer_default_quic(&q);
	SpecReader in(json, "quic");
	in.read("port", params.quic_port, 1, 65535);
	in.read("rotation", q.rotation, 0, 6);
	in.read("serverIdLength", q.server_id_length, 1, 15);
	in.read("nonceLength", q.nonce_length, 4, 18);
	const std::string key = in.text("key", "");
	in.finish();
	q.encrypted = !key.empty();
	if (q.encrypted)
		read_hex(in, "key", key, q.key, sizeof(q.key));
	return q;
}

Json result_of(int result)
{
	if (result < 0)
		return {{"failed", std::strerror(-result)}};
	return {{"done", true}};
}

Json add_server(balancer *b, SpecReader &in)
{
	balancer_server s;
	balancer_default_server(&s);
	read_addresses(in, "address", s.address, s.address6);
	read_mac(in, "mac", s.mac);
	in.read("weight", s.weight, 0, 1000);
	in.read("clock", s.clock,
	        {{"detect", BALANCER_CLOCK_DETECT},
	         {"uniform", BALANCER_CLOCK_UNIFORM},
	         {"differing", BALANCER_CLOCK_DIFFERING}});
	const int id = balancer_add(b, &s);
	if (id == -EINVAL)
		in.fail("address", "must have one of each family that the service has, and no other");
	return id < 0 ? result_of(id) : Json{{"id", id}};
}

Json tell_cores(balancer *b, uint32_t id, SpecReader &in, const Json &command)
{
	if (in.has("table")) {
		const auto table = in.integers<uint16_t>("table", {}, 0, BALANCER_MAX_CORES - 1);
		balancer_cores cores = {};
		read_hex(in, "key", in.needed("key"), cores.key, sizeof(cores.key));
		cores.nb_buckets = static_cast<uint32_t>(table.size());
		cores.nb_cores = *std::max_element(table.begin(), table.end()) + 1u;
		cores.table = table.data();
		if (const int result = balancer_set_cores(b, id, &cores); result != 0)
			return result_of(result);
	}
	if (!in.has("loads"))
		return result_of(0);
	std::vector<float> loads;
	for (const Json &load : command["loads"])
		loads.push_back(load.is_number() ? load.get<float>() : 0);
	return result_of(
		balancer_report_cores(b, id, loads.data(), static_cast<uint32_t>(loads.size())));
}

} // namespace

ServedPool::ServedPool(SpecReader &in)
{
	balancer_default_params(&params_);
	read_addresses(in, "service", params_.service, params_.service6);
	read_mac(in, "clientMac", client_mac_);
	in.read("policy", params_.policy,
	        {{"round-robin", BALANCER_ROUND_ROBIN},
	         {"weighted", BALANCER_WEIGHTED},
	         {"adaptive", BALANCER_ADAPTIVE},
	         {"power-of-two", BALANCER_POWER_OF_TWO},
	         {"least", BALANCER_LEAST_LOADED},
	         {"maglev", BALANCER_MAGLEV},
	         {"ring", BALANCER_RING},
	         {"hash", BALANCER_HASH},
	         {"cross-rss", BALANCER_CROSS_RSS}});
	in.read("memory", params_.memory,
	        {{"cookie", BALANCER_COOKIE}, {"track", BALANCER_TRACK}, {"forget", BALANCER_FORGET}});
	in.read("maxServers", params_.max_servers, 1, BALANCER_MAX_SERVERS);
	in.read("connectionLoad", params_.connection_load, 0, 1e12);
	if (const Json *quic = in.take("quic"))
		quic_ = read_quic(*quic, params_);
	char why[128];
	if (balancer_check(&params_, why, sizeof(why)) != 0)
		throw JobError("bad-spec", why, 2);
}

void ServedPool::open()
{
	balancer *made = nullptr;
	if (balancer_create(&params_, &made) != 0)
		throw JobError("failed", "no memory for the balancer");
	balancer_.reset(made);
	if (quic_ && balancer_set_quic(made, &*quic_) != 0)
		throw JobError("bad-spec",
		               "no QUIC connection ids can be made like this; they need memory 'cookie'",
		               2);
}

Json ServedPool::stats() const
{
	balancer_stats s;
	balancer_get_stats(get(), &s);
	return joined(NAMED(s.active, s.draining, s.connections, s.to_server, s.to_client, s.to_all,
	                    s.other, s.dropped, s.placed, s.by_cookie, s.by_table, s.by_quic, s.by_hash,
	                    s.wrong_cookies, s.gone, s.strays, s.unrestored),
	              NAMED(s.lost_fragments, s.errors_followed, s.carried_on, s.refused, s.malformed,
	                    s.uniform, s.unroutable_ids));
}

Json ServedPool::obeyed(const Json &command)
{
	SpecReader in(command, "");
	const std::string what = in.needed("do");
	if (what == "stats")
		return {{"stats", stats()}};
	if (what == "add")
		return add_server(get(), in);
	const auto id = in.integer<uint32_t>("id", UINT32_MAX, 0, UINT32_MAX);
	if (what == "drain")
		return result_of(balancer_drain(get(), id));
	if (what == "activate")
		return result_of(balancer_activate(get(), id));
	if (what == "remove")
		return result_of(balancer_remove(get(), id));
	if (what == "weight")
		return result_of(
			balancer_set_weight(get(), id, in.integer<uint32_t>("weight", 1, 0, 1000)));
	if (what == "load")
		return result_of(balancer_report_load(get(), id, in.real("load", 0, 0, 1e12)));
	if (what == "cores")
		return tell_cores(get(), id, in, command);
	return {{"failed", "'" + what + "' is no command"}};
}

Json ServedPool::obey(const Json &command)
{
	try {
		return obeyed(command);
	} catch (const JobError &error) {
		return {{"failed", error.what()}};
	}
}

} // namespace reframer::lab
