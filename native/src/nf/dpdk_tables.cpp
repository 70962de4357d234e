#include "nf/dpdk_tables.hpp"

#include "conntrack/contenders/eal.hpp"

#include <rte_acl.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_lpm.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace reframer::nf {

namespace {

constexpr uint32_t most = 128;

std::string fresh_name(const char *kind)
{
	static std::atomic<unsigned> number{0};
	return std::string(kind) + std::to_string(number++);
}

void check(bool good, const char *what)
{
	if (!good)
		throw std::runtime_error(std::string(what) + ": " + rte_strerror(rte_errno));
}

struct Key {
	uint8_t any; // rte_acl wants a first field of one byte
	uint8_t zero[3];
	uint32_t destination; // network order
};

constexpr rte_acl_field_def fields[2] = {
	{RTE_ACL_FIELD_TYPE_BITMASK, sizeof(uint8_t), 0, 0, offsetof(Key, any)},
	{RTE_ACL_FIELD_TYPE_MASK, sizeof(uint32_t), 1, 1, offsetof(Key, destination)},
};
RTE_ACL_RULE_DEF(Rule, 2);

} // namespace

struct DpdkRoutes::Tables {
	rte_lpm *lpm = nullptr;
	rte_fib *fib = nullptr;
	~Tables()
	{
		if (lpm)
			rte_lpm_free(lpm);
		if (fib)
			rte_fib_free(fib);
	}
};

DpdkRoutes::DpdkRoutes(const std::vector<Prefix> &routes, RouteTable kind) : tables_(new Tables)
{
	check(conntrack::start_eal(), "EAL");
	if (kind == RouteTable::lpm) {
		rte_lpm_config config = {};
		config.max_rules = 1024;
		config.number_tbl8s = 256;
		tables_->lpm = rte_lpm_create(fresh_name("lpm").c_str(), SOCKET_ID_ANY, &config);
		check(tables_->lpm, "rte_lpm_create");
	} else {
		rte_fib_conf config = {};
		config.type = RTE_FIB_DIR24_8;
		config.max_routes = 1024;
		config.dir24_8.nh_sz = RTE_FIB_DIR24_8_2B;
		config.dir24_8.num_tbl8 = 256;
		tables_->fib = rte_fib_create(fresh_name("fib").c_str(), SOCKET_ID_ANY, &config);
		check(tables_->fib, "rte_fib_create");
	}
	for (const Prefix &r : routes) {
		int error = tables_->lpm ? rte_lpm_add(tables_->lpm, r.value, r.length(), r.result)
		                         : rte_fib_add(tables_->fib, r.value, r.length(), r.result);
		check(error == 0, "a route");
	}
}

DpdkRoutes::~DpdkRoutes() = default;

void DpdkRoutes::find(const uint32_t *addresses, uint32_t n, uint16_t *hops) const
{
	if (tables_->lpm) {
		uint32_t entries[most];
		rte_lpm_lookup_bulk(tables_->lpm, addresses, entries, n);
		for (uint32_t i = 0; i < n; i++)
			hops[i] = static_cast<uint16_t>(entries[i]); // flags lie above
		return;
	}
	uint64_t found[most];
	rte_fib_lookup_bulk(tables_->fib, const_cast<uint32_t *>(addresses), found,
	                    static_cast<int>(n));
	for (uint32_t i = 0; i < n; i++)
		hops[i] = static_cast<uint16_t>(found[i]);
}

struct DpdkRules::Context {
	rte_acl_ctx *acl = nullptr;
	~Context() { rte_acl_free(acl); }
};

DpdkRules::DpdkRules(const std::vector<Prefix> &rules) : context_(new Context)
{
	check(conntrack::start_eal(), "EAL");
	std::string name = fresh_name("acl");
	rte_acl_param param = {};
	param.name = name.c_str();
	param.socket_id = SOCKET_ID_ANY;
	param.rule_size = RTE_ACL_RULE_SZ(2);
	param.max_rule_num = static_cast<uint32_t>(rules.size());
	context_->acl = rte_acl_create(&param);
	check(context_->acl, "rte_acl_create");
	std::vector<Rule> list;
	for (const Prefix &p : rules) {
		Rule r = {};
		r.data.category_mask = 1;
		r.data.priority = static_cast<int32_t>(rules.size() - list.size());
		r.data.userdata = static_cast<uint32_t>(list.size()) + 1; // 0 is no match
		r.field[1].value.u32 = p.value;
		r.field[1].mask_range.u32 = p.length();
		list.push_back(r);
		deny_.push_back(p.deny);
	}
	check(rte_acl_add_rules(context_->acl, reinterpret_cast<rte_acl_rule *>(list.data()),
	                        static_cast<uint32_t>(list.size())) == 0,
	      "rte_acl_add_rules");
	rte_acl_config config = {};
	config.num_categories = 1;
	config.num_fields = 2;
	config.defs[0] = fields[0];
	config.defs[1] = fields[1];
	check(rte_acl_build(context_->acl, &config) == 0, "rte_acl_build");
}

DpdkRules::~DpdkRules() = default;

void DpdkRules::find(const uint32_t *addresses, uint32_t n, uint16_t *rules) const
{
	Key keys[most];
	const uint8_t *data[most];
	uint32_t results[most];
	for (uint32_t i = 0; i < n; i++) {
		keys[i] = {0, {}, __builtin_bswap32(addresses[i])};
		data[i] = reinterpret_cast<const uint8_t *>(&keys[i]);
	}
	rte_acl_classify(context_->acl, data, results, n, 1);
	for (uint32_t i = 0; i < n; i++)
		rules[i] = static_cast<uint16_t>(results[i] - 1); // the last rule matches everything
}

} // namespace reframer::nf
