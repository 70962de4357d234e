#include "nf/chain.hpp"

#include "nf/chain_base.hpp"
#include "nf/modern_functions.hpp"
#include "nf/paper_functions.hpp"

namespace reframer::nf {

const char *verdict_name(uint8_t verdict)
{
	switch (verdict) {
	case verdict_pass: return "pass";
	case verdict_not_ipv4: return "notIpv4";
	case verdict_malformed: return "malformed";
	case verdict_ttl: return "ttl";
	case verdict_denied: return "denied";
	case verdict_table_full: return "tableFull";
	}
	return "unknown";
}

namespace {

struct PaperSizes {
	static constexpr uint32_t chunk = 32;             // the original's burst
	static constexpr uint32_t prefetch_distance = 32; // its driver prefetches a burst's headers
};

struct ModernSizes {
	// Four bursts, so that the table lines of 128 packets are on their way together.
	static constexpr uint32_t chunk = 128;
	static constexpr uint32_t prefetch_distance = 8; // headers: about what a core keeps in flight
};

// Function after function over a burst, as the original's elements work.
template <bool by_run, typename Function>
void drive(Function &f, Context *c, uint32_t n, const reframer_run *runs, uint32_t nb_runs)
{
	if constexpr (by_run)
		process_runs(f, c, runs, nb_runs);
	else
		process_burst(f, c, n);
}

template <bool by_run>
class PaperChain final : public ChainBase<PaperChain<by_run>, PaperSizes> {
public:
	PaperChain(const Config &config, uint32_t core, const std::vector<Prefix> &routes,
	           std::shared_ptr<const paper::RuleList> rules)
	    : ChainBase<PaperChain, PaperSizes>(config.seed),
	      classifier_(config.table_capacity, config.seed), counter_(config.table_capacity, config.seed),
	      router_(routes), firewall_(std::move(rules)),
	      nat_(config.table_capacity, core, config.seed) {}

	void functions(Context *c, uint32_t n, const reframer_run *runs, uint32_t nb_runs)
	{
		drive<by_run>(classifier_, c, n, runs, nb_runs);
		drive<by_run>(counter_, c, n, runs, nb_runs);
		drive<by_run>(router_, c, n, runs, nb_runs);
		drive<by_run>(firewall_, c, n, runs, nb_runs);
		drive<by_run>(nat_, c, n, runs, nb_runs);
	}
	void learn_key(const FlowKey &key, bool ports)
	{
		classifier_.learn(key);
		counter_.learn(key);
		if (ports)
			nat_.learn(key);
	}
	Counters counters() const override
	{
		return {{"flows", classifier_.flows()},
		        {"natFlows", nat_.flows()},
		        {"routerCacheHits", router_.cache_hits},
		        {"routerScanned", router_.scanned},
		        {"firewallCacheHits", firewall_.cache_hits},
		        {"firewallScanned", firewall_.scanned},
		        {"firewallMatchAll", firewall_.matched.back()}};
	}
	uint64_t counted_packets() const override { return packets_of(counter_); }
	uint64_t table_digest() const override { return digest_of(counter_); }

private:
	paper::Classifier classifier_;
	paper::Counter counter_;
	paper::Router router_;
	paper::Firewall firewall_;
	paper::Nat nat_;
};

template <bool by_run>
class ModernChain final : public ChainBase<ModernChain<by_run>, ModernSizes> {
public:
	ModernChain(const Config &config, uint32_t core, std::shared_ptr<const modern::Trie> trie,
	            std::shared_ptr<const modern::RuleSet> rules)
	    : ChainBase<ModernChain, ModernSizes>(config.seed), counter_(config.table_capacity),
	      router_(std::move(trie)), firewall_(std::move(rules)), nat_(config.table_capacity, core) {}

	void functions(Context *c, uint32_t n, const reframer_run *runs, uint32_t nb_runs)
	{
		const Context *before = nullptr;
		for (uint32_t i = 0; i < n; i++) {
			if (c[i].verdict != verdict_pass)
				continue;
			if (by_run && before && before->key == c[i].key) {
				c[i].hash = before->hash;
				continue;
			}
			c[i].hash = hash_key(c[i].key, this->seed_);
			counter_.prefetch(c[i]);
			nat_.prefetch(c[i]);
			router_.prefetch(c[i]);
			before = c + i;
		}
		drive<by_run>(counter_, c, n, runs, nb_runs);
		drive<by_run>(router_, c, n, runs, nb_runs);
		drive<by_run>(firewall_, c, n, runs, nb_runs);
		drive<by_run>(nat_, c, n, runs, nb_runs);
	}
	void learn_key(const FlowKey &key, bool ports)
	{
		uint64_t hash = hash_key(key, this->seed_);
		counter_.learn(key, hash);
		if (ports)
			nat_.learn(key, hash);
	}
	Counters counters() const override
	{
		return {{"natFlows", nat_.flows()}, {"firewallMatchAll", firewall_.matched.back()}};
	}
	uint64_t counted_packets() const override { return packets_of(counter_); }
	uint64_t table_digest() const override { return digest_of(counter_); }

private:
	modern::Counter counter_;
	modern::Router router_;
	modern::Firewall firewall_;
	modern::Nat nat_;
};

// Touches nothing: what the loop around a chain costs.
class Forward final : public Chain {
public:
	uint32_t process(Mbuf **, uint32_t n, const reframer_run *, uint32_t, Mbuf **) override
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

} // namespace

struct ChainFactory::Shared {
	std::vector<Prefix> routes;
	std::shared_ptr<const paper::RuleList> list;
	std::shared_ptr<const modern::Trie> trie;
	std::shared_ptr<const modern::RuleSet> set;
};

ChainFactory::ChainFactory(const Config &config) : config_(config), shared_(new Shared)
{
	auto rules = make_rules(config.nb_rules, config.deny_share, config.seed);
	shared_->routes = make_routes(config.seed);
	if (config.kind == ChainKind::paper) {
		shared_->list = std::make_shared<const paper::RuleList>(rules);
	} else if (config.kind == ChainKind::modern) {
		shared_->trie = std::make_shared<const modern::Trie>(shared_->routes);
		shared_->set = std::make_shared<const modern::RuleSet>(rules);
	}
}

ChainFactory::~ChainFactory() = default;

std::unique_ptr<Chain> ChainFactory::make(Form form, uint32_t core) const
{
	bool by_run = form == Form::run;
	switch (config_.kind) {
	case ChainKind::paper:
		if (by_run)
			return std::make_unique<PaperChain<true>>(config_, core, shared_->routes, shared_->list);
		return std::make_unique<PaperChain<false>>(config_, core, shared_->routes, shared_->list);
	case ChainKind::modern:
		if (by_run)
			return std::make_unique<ModernChain<true>>(config_, core, shared_->trie, shared_->set);
		return std::make_unique<ModernChain<false>>(config_, core, shared_->trie, shared_->set);
	case ChainKind::forward:
		break;
	}
	return std::make_unique<Forward>();
}

} // namespace reframer::nf
