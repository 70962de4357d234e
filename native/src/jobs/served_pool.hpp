// A balancer as jobs have it: made of a specification, changed by commands.
//
// spec     "service": "192.0.2.1" or ["192.0.2.1", "2001:db8::1"], "clientMac": "02:..." (next hop of answers), "policy": word of
//          balancer.h in small letters, "round-robin" by default, "memory": "cookie"|"track"|"forget",
//          "maxServers": 256, "connectionLoad": 1, "quic": {"port": 443, "rotation": 0,
//          "serverIdLength": 2, "nonceLength": 6, "key": "32 hex digits"} (none: QUIC by the flow table)
// command  {"do":"add","address":as the service's,"mac":"02:...","weight":1,"clock":"detect"|"uniform"|"differing"}  {"id":N}
//          {"do":"drain"|"activate"|"remove","id":N}, {"do":"weight","id":N,"weight":N}, {"do":"load","id":N,
//          "load":X}, {"do":"cores","id":N,"key":"80 hex digits","table":[CORE, ...],"loads":[X, ...]} (as
//          `ethtool -x` shows them; each may be left out)  {"done":true}
//          What is refused gets {"failed":REASON}.
#pragma once

#include "jobs/spec_reader.hpp"
#include "reframer/balancer.h"

#include <memory>
#include <optional>

namespace reframer::lab {

class ServedPool {
public:
	// Reads its members of a specification. @throws JobError
	explicit ServedPool(SpecReader &in);

	// After the specification was read. @throws JobError
	void open();
	balancer *get() const { return balancer_.get(); }
	const uint8_t *client_mac() const { return client_mac_; }

	Json obey(const Json &command);
	Json stats() const;

private:
	Json obeyed(const Json &command);

	struct Free {
		void operator()(balancer *b) const { balancer_free(b); }
	};
	balancer_params params_;
	std::optional<balancer_quic> quic_;
	uint8_t client_mac_[6];
	std::unique_ptr<balancer, Free> balancer_;
};

} // namespace reframer::lab
