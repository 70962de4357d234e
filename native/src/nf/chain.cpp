#include "nf/chain.hpp"

#include "nf/balancer/chain_function.hpp"
#include "nf/function_chain.hpp"
#include "nf/load_balancer.hpp"
#include "nf/modern_functions.hpp"
#include "nf/packet_functions.hpp"
#include "nf/paper_functions.hpp"
#include "nf/run_chain.hpp"
#ifdef REFRAMER_HAVE_HYPERSCAN
#include "nf/dpi.hpp"
#endif
#ifdef REFRAMER_HAVE_DPDK_TABLES
#include "nf/dpdk_functions.hpp"
#endif

#include <mutex>
#include <stdexcept>

namespace reframer::nf {

const char *verdict_name(uint8_t verdict)
{
	switch (verdict) {
	case verdict_pass:
		return "pass";
	case verdict_not_ipv4:
		return "notIpv4";
	case verdict_malformed:
		return "malformed";
	case verdict_ttl:
		return "ttl";
	case verdict_denied:
		return "denied";
	case verdict_table_full:
		return "tableFull";
	}
	return "unknown";
}

namespace {

#ifdef REFRAMER_HAVE_HYPERSCAN
constexpr const char *no_patterns = nullptr;
#else
constexpr const char *no_patterns = "libhs (Debian libvectorscan-dev or libhyperscan-dev)";
#endif
#ifdef REFRAMER_HAVE_DPDK_TABLES
constexpr const char *no_dpdk = nullptr;
#else
constexpr const char *no_dpdk = "DPDK (Debian libdpdk-dev)";
#endif

constexpr ChainName names[] = {
	{"paper", ChainKind::paper, nullptr},
	{"cached-rules", ChainKind::cached_rules, nullptr},
	{"modern", ChainKind::modern, nullptr},
	{"modern-rte", ChainKind::modern_rte, no_dpdk},
	{"inspect", ChainKind::inspect, no_patterns},
	{"forward", ChainKind::forward, nullptr},
	{"counter", ChainKind::counter, nullptr},
	{"router", ChainKind::router, nullptr},
	{"firewall", ChainKind::firewall, nullptr},
	{"nat", ChainKind::nat, nullptr},
	{"lb", ChainKind::lb, nullptr},
	{"cookie-lb", ChainKind::cookie_lb, nullptr},
	{"dpi", ChainKind::dpi, no_patterns},
	{"rte-lpm", ChainKind::rte_lpm, no_dpdk},
	{"rte-fib", ChainKind::rte_fib, no_dpdk},
	{"rte-acl", ChainKind::rte_acl, no_dpdk},
	{"paper-counter", ChainKind::paper_counter, nullptr},
	{"paper-router", ChainKind::paper_router, nullptr},
	{"paper-firewall", ChainKind::paper_firewall, nullptr},
	{"paper-nat", ChainKind::paper_nat, nullptr},
};

struct PaperSizes {
	static constexpr uint32_t chunk = 32;             // the original's burst
	static constexpr uint32_t prefetch_distance = 32; // its driver prefetches a burst's headers
};

struct ModernSizes {
	// Four bursts, so that the table lines of 128 packets are on their way together.
	static constexpr uint32_t chunk = 128;
	static constexpr uint32_t prefetch_distance = 8; // headers: about what a core keeps in flight
};

// Touches nothing: what the loop around a chain costs.
class Forward final : public Chain {
public:
	uint32_t process(std::span<const reframer_run>, Mbuf **, uint32_t n, Mbuf **) override
	{
		verdicts_[verdict_pass] += n;
		return n;
	}
	void learn(const uint8_t *, uint32_t) override {}
	void add_idle_flows(uint32_t) override {}
	Counters counters() const override { return {}; }
	bool has_tables() const override { return false; }
	uint64_t counted_packets() const override { return 0; }
	uint64_t table_digest() const override { return 0; }
};

template <typename Sizes, typename... Functions>
std::unique_ptr<Chain> chain_of(const Config &config, Form form, Functions... functions)
{
	if constexpr ((Plans<Functions> && ...)) {
		if (form == Form::run)
			return std::make_unique<RunChain<Sizes, Functions...>>(config, std::move(functions)...);
	} else if (form == Form::run) {
		return std::make_unique<FunctionChain<true, Sizes, Functions...>>(config,
		                                                                  std::move(functions)...);
	}
	return std::make_unique<FunctionChain<false, Sizes, Functions...>>(config,
	                                                                   std::move(functions)...);
}

// Made when the first chain asks for it, then shared by all.
template <typename T> class Lazy {
public:
	template <typename Make> std::shared_ptr<const T> get(Make make)
	{
		std::lock_guard lock(mutex_);
		if (!made_)
			made_ = make();
		return made_;
	}

private:
	std::mutex mutex_;
	std::shared_ptr<const T> made_;
};

} // namespace

std::span<const ChainName> chain_names()
{
	return names;
}

struct ChainFactory::Shared {
	std::vector<Prefix> routes, rules;
	Lazy<paper::RuleList> list;
	Lazy<std::vector<paper::PacketRule>> packet_rules;
	Lazy<modern::Trie> trie;
	Lazy<modern::RuleSet> set;
	Lazy<Backends> servers;
#ifdef REFRAMER_HAVE_HYPERSCAN
	Lazy<Patterns> patterns;
#endif
#ifdef REFRAMER_HAVE_DPDK_TABLES
	Lazy<DpdkRoutes> lpm, fib;
	Lazy<DpdkRules> acl;
#endif
};

ChainFactory::ChainFactory(const Config &config) : config_(config), shared_(new Shared)
{
	shared_->rules = make_rules(config.nb_rules, config.deny_share, config.seed);
	shared_->routes = make_routes(config.seed);
}

ChainFactory::ChainFactory(const ChainFactory &other, uint32_t table_capacity)
	: config_(other.config_), shared_(other.shared_)
{
	config_.table_capacity = table_capacity;
}

ChainFactory::~ChainFactory() = default;

std::unique_ptr<Chain> ChainFactory::make(Form form, uint32_t core) const
{
	const Config &config = config_;
	Shared &s = *shared_;
	const uint32_t capacity = config.table_capacity;
	const uint64_t seed = config.seed;
	auto list = [&] {
		return s.list.get([&] { return std::make_shared<const paper::RuleList>(s.rules); });
	};
	auto packet_filter = [&] {
		return paper::PacketFilter(s.packet_rules.get([&] {
			return std::make_shared<const std::vector<paper::PacketRule>>(
				paper::make_packet_rules(config.nb_packet_rules, seed));
		}));
	};
	auto counter = [&] { return modern::Counter(capacity); };
	auto router = [&] {
		return modern::Router(
			s.trie.get([&] { return std::make_shared<const modern::Trie>(s.routes); }));
	};
	auto firewall = [&] {
		return modern::Firewall(
			s.set.get([&] { return std::make_shared<const modern::RuleSet>(s.rules); }));
	};
	auto nat = [&] { return modern::Nat(capacity, core, seed); };
	auto servers = [&] {
		return s.servers.get(
			[&] { return std::make_shared<const Backends>(config.nb_servers, seed); });
	};
	auto balancer = [&] { return LoadBalancer(capacity, servers(), seed); };
#ifdef REFRAMER_HAVE_HYPERSCAN
	auto patterns = [&] {
		return s.patterns.get([] { return std::make_shared<const Patterns>(); });
	};
	// The one function whose forms differ in kind.
	auto with_dpi = [&](auto before, auto after) -> std::unique_ptr<Chain> {
		auto make_chain = [&]<bool by_run>(std::bool_constant<by_run>) -> std::unique_ptr<Chain> {
			return std::apply(
				[&](auto... f) -> std::unique_ptr<Chain> {
					return std::make_unique<FunctionChain<by_run, ModernSizes, decltype(f)...>>(
						config, std::move(f)...);
				},
				std::tuple_cat(std::move(before),
			                   std::tuple<Dpi<by_run>>(Dpi<by_run>(capacity, patterns())),
			                   std::move(after)));
		};
		return form == Form::run ? make_chain(std::true_type()) : make_chain(std::false_type());
	};
#endif
#ifdef REFRAMER_HAVE_DPDK_TABLES
	auto dpdk_router = [&](RouteTable kind) {
		auto &table = kind == RouteTable::lpm ? s.lpm : s.fib;
		return DpdkRouter(
			table.get([&] { return std::make_shared<const DpdkRoutes>(s.routes, kind); }));
	};
	auto dpdk_firewall = [&] {
		return DpdkFirewall(s.acl.get([&] { return std::make_shared<const DpdkRules>(s.rules); }));
	};
#endif

	switch (config.kind) {
	case ChainKind::forward:
		return std::make_unique<Forward>();
	case ChainKind::paper:
		return chain_of<PaperSizes>(config, form, paper::Checker(), packet_filter(),
		                            paper::Classifier(capacity, seed),
		                            paper::Counter(capacity, seed), paper::Router(s.routes),
		                            paper::Firewall(list()), paper::Nat(capacity, core, seed));
	case ChainKind::cached_rules:
		return chain_of<PaperSizes>(config, form, paper::Classifier(capacity, seed),
		                            paper::Counter(capacity, seed), paper::Router(s.routes),
		                            paper::Firewall(list()), paper::Nat(capacity, core, seed));
	case ChainKind::modern:
		return chain_of<ModernSizes>(config, form, counter(), router(), firewall(), nat());
	case ChainKind::counter:
		return chain_of<ModernSizes>(config, form, counter());
	case ChainKind::router:
		return chain_of<ModernSizes>(config, form, router());
	case ChainKind::firewall:
		return chain_of<ModernSizes>(config, form, firewall());
	case ChainKind::nat:
		return chain_of<ModernSizes>(config, form, nat());
	case ChainKind::lb:
		return chain_of<ModernSizes>(config, form, balancer());
	case ChainKind::cookie_lb:
		return chain_of<ModernSizes>(config, form,
		                             CookieBalancer(config.nb_servers, capacity, seed));
	case ChainKind::paper_counter:
		return chain_of<PaperSizes>(config, form, paper::Counter(capacity, seed));
	case ChainKind::paper_router:
		return chain_of<PaperSizes>(config, form, paper::Router(s.routes));
	case ChainKind::paper_firewall:
		return chain_of<PaperSizes>(config, form, paper::Firewall(list()));
	case ChainKind::paper_nat:
		return chain_of<PaperSizes>(config, form, paper::Nat(capacity, core, seed));
#ifdef REFRAMER_HAVE_HYPERSCAN
	case ChainKind::dpi:
		return with_dpi(std::tuple<>(), std::tuple<>());
	case ChainKind::inspect:
		return with_dpi(std::tuple(counter(), firewall()), std::tuple(balancer()));
#endif
#ifdef REFRAMER_HAVE_DPDK_TABLES
	case ChainKind::rte_lpm:
		return chain_of<ModernSizes>(config, form, dpdk_router(RouteTable::lpm));
	case ChainKind::rte_fib:
		return chain_of<ModernSizes>(config, form, dpdk_router(RouteTable::fib));
	case ChainKind::rte_acl:
		return chain_of<ModernSizes>(config, form, dpdk_firewall());
	case ChainKind::modern_rte:
		return chain_of<ModernSizes>(config, form, counter(), dpdk_router(RouteTable::fib),
		                             dpdk_firewall(), nat());
#endif
	default:
		break;
	}
	throw std::invalid_argument("this chain is not in this build");
}

} // namespace reframer::nf
