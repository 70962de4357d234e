#include "dpdk/port_words.hpp"

#include "dpdk/ports.hpp"
#include "jobs/job.hpp"
#include "packet/toeplitz.hpp"

#include <rte_ethdev.h>

namespace reframer::dpdk {

namespace {

struct Word {
	const char *name;
	uint64_t bits;
};

constexpr Word field_words[] = {
	{"ip", RTE_ETH_RSS_IP},     {"tcp", RTE_ETH_RSS_TCP}, {"udp", RTE_ETH_RSS_UDP},
	{"sctp", RTE_ETH_RSS_SCTP}, {"esp", RTE_ETH_RSS_ESP}, {"tunnel", RTE_ETH_RSS_TUNNEL},
};

// Offloads that cut tags off or join frames are not here: what a box sends must be what it received.
constexpr Word rx_words[] = {
	{"rss-hash", RTE_ETH_RX_OFFLOAD_RSS_HASH},     {"scatter", RTE_ETH_RX_OFFLOAD_SCATTER},
	{"ipv4-cksum", RTE_ETH_RX_OFFLOAD_IPV4_CKSUM}, {"tcp-cksum", RTE_ETH_RX_OFFLOAD_TCP_CKSUM},
	{"udp-cksum", RTE_ETH_RX_OFFLOAD_UDP_CKSUM},   {"timestamp", RTE_ETH_RX_OFFLOAD_TIMESTAMP},
};
constexpr Word tx_words[] = {
	{"tx-multi-segs", RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
	// All buffers of a queue are of one pool and have one owner.
	{"tx-fast-free", RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
};

template <size_t n> uint64_t bits_of(const Word (&words)[n], const std::string &name)
{
	for (const Word &word : words)
		if (name == word.name)
			return word.bits;
	return 0;
}

template <size_t n> void list(std::string &text, const Word (&words)[n], uint64_t bits)
{
	for (const Word &word : words)
		if (word.bits & bits)
			text += (text.empty() ? "" : ", ") + std::string(word.name);
}

lab::JobError unknown(const char *option, const std::string &word, const std::string &known)
{
	return lab::JobError("bad-spec",
	                     std::string(option) + " does not know '" + word + "', only " + known, 2);
}

} // namespace

uint64_t hash_field_bits(const std::vector<std::string> &words)
{
	uint64_t all = 0;
	for (const std::string &word : words)
		all |= bits_of(field_words, word);
	return all;
}

std::string hash_field_words(uint64_t bits)
{
	std::string text;
	list(text, field_words, bits);
	return text.empty() ? "nothing" : text;
}

Offloads offload_bits(const std::vector<std::string> &words)
{
	Offloads all;
	for (const std::string &word : words) {
		all.rx |= bits_of(rx_words, word);
		all.tx |= bits_of(tx_words, word);
	}
	return all;
}

std::string offload_words(const Offloads &bits)
{
	std::string text;
	list(text, rx_words, bits.rx);
	list(text, tx_words, bits.tx);
	return text.empty() ? "none" : text;
}

Offloads allowed_offloads(const Offloads &of)
{
	Offloads all;
	for (const Word &word : rx_words)
		all.rx |= word.bits & of.rx;
	for (const Word &word : tx_words)
		all.tx |= word.bits & of.tx;
	return all;
}

std::vector<uint8_t> rss_key_bytes(const std::string &word)
{
	const auto copy = [](const packet::ToeplitzKey &key) {
		return std::vector<uint8_t>(key.begin(), key.end());
	};
	if (word == "microsoft")
		return copy(packet::toeplitz_key_microsoft);
	if (word == "symmetric")
		return copy(packet::toeplitz_key_symmetric);
	const bool digits = word.find_first_not_of("0123456789abcdefABCDEF") == word.npos;
	if (!digits || word.empty() || word.size() % 2 != 0)
		throw lab::JobError("bad-spec",
		                    "--rss-key is microsoft, symmetric, or an even number of hexadecimal "
		                    "digits, not '" +
		                        word + "'",
		                    2);
	std::vector<uint8_t> bytes;
	for (size_t i = 0; i < word.size(); i += 2)
		bytes.push_back(uint8_t(std::stoul(word.substr(i, 2), nullptr, 16)));
	return bytes;
}

void check_words(const PortWish &wish)
{
	for (const std::string &word : wish.hash_fields)
		if (bits_of(field_words, word) == 0)
			throw unknown("--hash-fields", word, hash_field_words(~uint64_t{0}));
	for (const std::string &word : wish.offloads)
		if ((bits_of(rx_words, word) | bits_of(tx_words, word)) == 0)
			throw unknown("--offloads", word, offload_words({~uint64_t{0}, ~uint64_t{0}}));
	if (!wish.rss_key.empty())
		rss_key_bytes(wish.rss_key);
}

} // namespace reframer::dpdk
