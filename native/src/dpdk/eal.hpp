#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reframer::dpdk {

// Brings EAL up, with --no-pci unless `wanted` says otherwise: it would take the machine's own NIC.
// From here on no program that this process starts can gain rights (NO_NEW_PRIVS), on any thread.
// @throws lab::JobError
void start_eal(const std::vector<std::string> &wanted);

struct NewUser {
	uint32_t uid, gid;
};

// Gives up root for good, for all threads: the ports are open, and nothing later needs it. Does nothing
// for who is not root, or where `user` is root.
// @throws lab::JobError if there is no such user or the change is refused
// @return whom it became, where it did
std::optional<NewUser> drop_root(const std::string &user);

} // namespace reframer::dpdk
