// A chain of network functions on one core: classifier, flow counter, router, firewall, source NAT,
// Ethernet rewrite, in the original's order.
#pragma once

#include "nf/config.hpp"
#include "nf/context.hpp"
#include "reframer/reframer.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace reframer::nf {

// Named counters, in a fixed order for a kind of chain.
using Counters = std::vector<std::pair<std::string, uint64_t>>;

class Chain {
public:
	virtual ~Chain() = default;

	// Works on `n` packets. Those that pass stay in order at the front of `packets`; the others go to
	// `dropped` with their verdict. Returns how many pass.
	//
	// `runs` are the stage's, from the first packet on; of packets behind the last one nothing is known.
	// Equal hashes do not prove equal keys, so the chains here compare keys, which tells where runs
	// begin; reading the stage's runs beside that cost 9 % with Reframer and 12 % without (modern chain
	// in form `run`), and parted runs of one flow that meet.
	virtual uint32_t process(std::span<const reframer_run> runs, Mbuf **packets, uint32_t n,
	                         Mbuf **dropped) = 0;

	// Enters a flow into the tables without processing a packet: state of a chain that has run for
	// a while. Idle flows are such that no packet ever comes.
	virtual void learn(const uint8_t *frame, uint32_t captured) = 0;
	virtual void add_idle_flows(uint32_t n) = 0;

	virtual Counters counters() const = 0;
	uint64_t verdicts(uint8_t verdict) const { return verdicts_[verdict]; }
	virtual bool has_tables() const { return true; }
	// Packets that the flow counter has in its table.
	virtual uint64_t counted_packets() const = 0;
	// Checksum of the flow counter's table, independent of its order.
	virtual uint64_t table_digest() const = 0;

protected:
	uint64_t verdicts_[nb_verdicts] = {};
};

// What the chains of all cores share, read-only: routes and rules.
class ChainFactory {
public:
	// Throws std::invalid_argument for a chain that lacks something, see chain_names().
	explicit ChainFactory(const Config &config);
	// The same routes and rules, for tables of another size.
	ChainFactory(const ChainFactory &other, uint32_t table_capacity);
	~ChainFactory();
	std::unique_ptr<Chain> make(Form form, uint32_t core) const;

private:
	struct Shared;
	Config config_;
	std::shared_ptr<Shared> shared_;
};

} // namespace reframer::nf
