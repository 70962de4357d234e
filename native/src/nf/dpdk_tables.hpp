// DPDK's longest-prefix tables and packet classifier. Behind this header, so that no other file
// sees DPDK; only where DPDK was found when the suite was built. One EAL a process: programs only,
// never a library.
#pragma once

#include "nf/prefixes.hpp"

#include <memory>

namespace reframer::nf {

enum class RouteTable { lpm, fib };

class DpdkRoutes {
public:
	// Throws std::runtime_error where EAL does not start or a table cannot be made.
	DpdkRoutes(const std::vector<Prefix> &routes, RouteTable kind);
	~DpdkRoutes();
	// Next hops of addresses in host order. At most 128.
	void find(const uint32_t *addresses, uint32_t n, uint16_t *hops) const;

private:
	struct Tables;
	std::unique_ptr<Tables> tables_;
};

class DpdkRules {
public:
	explicit DpdkRules(const std::vector<Prefix> &rules);
	~DpdkRules();
	// Index of the first rule that matches each address (host order). At most 128.
	void find(const uint32_t *addresses, uint32_t n, uint16_t *rules) const;
	bool deny(uint16_t rule) const { return deny_[rule]; }
	size_t size() const { return deny_.size(); }

private:
	struct Context;
	std::unique_ptr<Context> context_;
	std::vector<uint8_t> deny_;
};

} // namespace reframer::nf
