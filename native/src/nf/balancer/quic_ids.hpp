// Connection ids of QUIC servers, as draft-ietf-quic-load-balancers-21 makes them: first octet,
// server id, nonce; the last two in the clear, as one block of AES, or by four rounds of a Feistel
// network over AES.
#pragma once

#include "nf/balancer/aes128.hpp"
#include "reframer/balancer.h"

#include <array>
#include <memory>

namespace reframer::balance {

// The id that a packet of a client is for (RFC 8999).
struct QuicHeader {
	const uint8_t *id = nullptr; // null: none, the datagram is too short for one
	uint32_t length = 0;         // of a long header's id; of a short one's what could be it
	bool is_long = false;
};

inline QuicHeader read_quic(const uint8_t *at, const uint8_t *end)
{
	constexpr uint32_t most = 20; // of versions 1 and 2; in others it may be longer
	const auto left = static_cast<uint32_t>(end > at ? end - at : 0);
	if (left < 2)
		return {};
	if (!(at[0] & 0x80))
		return {at + 1, left - 1 < most ? left - 1 : most, false};
	// Flags, version, the id's length.
	if (left < 6 || left - 6 < at[5])
		return {};
	return {at + 6, at[5], true};
}

// One configuration, of any server ids.
class QuicConfig {
public:
	// Of a checked configuration.
	explicit QuicConfig(const balancer_quic &config);

	uint32_t server_id_length() const { return server_id_length_; }
	// Of server id and nonce together.
	uint32_t block() const { return server_id_length_ + nonce_length_; }
	// Server id and perhaps more, in the clear; false where the id is not of this configuration.
	bool read(const QuicHeader &header, uint8_t block[20]) const;
	// @return the id's length
	uint32_t write(const uint8_t *server_id, const uint8_t *nonce, uint8_t *out) const;

private:
	void encrypt(uint8_t *block) const;
	void decrypt(uint8_t *block) const; // at least the server id

	uint32_t rotation_, server_id_length_, nonce_length_;
	bool length_encoded_, encrypted_;
	Aes128 aes_;
};

class QuicIds {
public:
	static constexpr uint32_t no_server = UINT32_MAX;
	static constexpr uint32_t rotations = 7; // 7 says that an id cannot be routed

	// Of a checked configuration. Throws std::bad_alloc.
	void set(const balancer_quic &config);
	// Whether there was one.
	bool clear(uint32_t rotation);
	bool any() const { return nb_ > 0; }

	// The server of a header's id; no_server where it was not made by a configuration that there is.
	uint32_t server(const QuicHeader &header) const;
	// Writes an id. @return its length; 0: no such configuration, or `id` does not fit
	uint32_t write(uint32_t rotation, uint32_t id, const uint8_t *nonce, uint8_t *out) const;

private:
	std::array<std::unique_ptr<const QuicConfig>, rotations> configs_;
	uint32_t nb_ = 0;
};

} // namespace reframer::balance
