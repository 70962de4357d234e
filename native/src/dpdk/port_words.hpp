// Words of users for what a port may be asked: hash fields, offloads, keys.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::dpdk {

struct PortWish;

// What is no word of ours is an error; whether a port has it, the port says. @throws lab::JobError
void check_words(const PortWish &wish);

// Bits of RTE_ETH_RSS_*.
uint64_t hash_field_bits(const std::vector<std::string> &words);
std::string hash_field_words(uint64_t bits);

// Bits of RTE_ETH_RX_OFFLOAD_* and RTE_ETH_TX_OFFLOAD_*.
struct Offloads {
	uint64_t rx = 0, tx = 0;
};
Offloads offload_bits(const std::vector<std::string> &words);
// "rss-hash, tx-multi-segs", or "none".
std::string offload_words(const Offloads &bits);
// Those that a box may use: none of them changes a frame.
Offloads allowed_offloads(const Offloads &of);

std::vector<uint8_t> rss_key_bytes(const std::string &word);

} // namespace reframer::dpdk
