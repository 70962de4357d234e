#include "nf/balancer/quic_ids.hpp"

#include <algorithm>
#include <cstring>

namespace reframer::balance {

namespace {

// Halves of a block; of an odd one each has half of the octet in the middle.
struct Halves {
	uint8_t left[10] = {}, right[10] = {};
	uint32_t length, half;

	Halves(const uint8_t *block, uint32_t n) : length(n), half((n + 1) / 2)
	{
		std::memcpy(left, block, half);
		std::memcpy(right, block + n - half, half);
		trim();
	}
	void trim()
	{
		if (length % 2 == 0)
			return;
		left[half - 1] &= 0xf0;
		right[0] &= 0x0f;
	}
	// A round of the network: `other` changes by what `from` encrypts to.
	void round(const Aes128 &aes, uint8_t pass, const uint8_t *from, uint8_t *other)
	{
		uint8_t block[16] = {};
		std::memcpy(block, from, half);
		block[14] = static_cast<uint8_t>(length);
		block[15] = pass;
		aes.encrypt(block);
		for (uint32_t i = 0; i < half; i++)
			other[i] ^= block[i];
		trim();
	}
	void join(uint8_t *block) const
	{
		std::memcpy(block, left, half);
		if (length % 2) {
			block[half - 1] |= right[0];
			std::memcpy(block + half, right + 1, half - 1);
		} else {
			std::memcpy(block + half, right, half);
		}
	}
};

} // namespace

QuicConfig::QuicConfig(const balancer_quic &c)
	: rotation_(c.rotation), server_id_length_(c.server_id_length), nonce_length_(c.nonce_length),
	  length_encoded_(c.length_encoded != 0), encrypted_(c.encrypted != 0), aes_(c.key, encrypted_)
{
}

void QuicConfig::encrypt(uint8_t *block) const
{
	if (this->block() == 16) {
		aes_.encrypt(block);
		return;
	}
	Halves h(block, this->block());
	h.round(aes_, 1, h.left, h.right);
	h.round(aes_, 2, h.right, h.left);
	h.round(aes_, 3, h.left, h.right);
	h.round(aes_, 4, h.right, h.left);
	h.join(block);
}

void QuicConfig::decrypt(uint8_t *block) const
{
	if (this->block() == 16) {
		aes_.decrypt(block);
		return;
	}
	Halves h(block, this->block());
	h.round(aes_, 4, h.right, h.left);
	h.round(aes_, 3, h.left, h.right);
	h.round(aes_, 2, h.right, h.left);
	if (server_id_length_ > nonce_length_) // else the server id lies in the left half
		h.round(aes_, 1, h.left, h.right);
	h.join(block);
}

bool QuicConfig::read(const QuicHeader &header, uint8_t block[20]) const
{
	const uint32_t n = this->block();
	if (header.length < 1 + n || header.id[0] >> 5 != rotation_)
		return false;
	if (length_encoded_) {
		const uint32_t said = header.id[0] & 31u;
		if (said < n || (header.is_long && said + 1 != header.length))
			return false;
	}
	std::memcpy(block, header.id + 1, n);
	if (encrypted_)
		decrypt(block);
	return true;
}

uint32_t QuicConfig::write(const uint8_t *server_id, const uint8_t *nonce, uint8_t *out) const
{
	const uint32_t n = block();
	// Without the length in it, these bits look drawn.
	const uint32_t low = length_encoded_ ? n : nonce[0] & 31u;
	out[0] = static_cast<uint8_t>(rotation_ << 5 | low);
	std::memcpy(out + 1, server_id, server_id_length_);
	std::memcpy(out + 1 + server_id_length_, nonce, nonce_length_);
	if (encrypted_)
		encrypt(out + 1);
	return 1 + n;
}

void QuicIds::set(const balancer_quic &config)
{
	auto made = std::make_unique<const QuicConfig>(config);
	auto &place = configs_[config.rotation];
	nb_ += !place;
	place = std::move(made);
}

bool QuicIds::clear(uint32_t rotation)
{
	if (rotation >= rotations || !configs_[rotation])
		return false;
	configs_[rotation].reset();
	nb_--;
	return true;
}

uint32_t QuicIds::server(const QuicHeader &header) const
{
	if (header.length == 0)
		return no_server;
	const uint32_t rotation = header.id[0] >> 5;
	uint8_t block[20];
	if (rotation >= rotations || !configs_[rotation] || !configs_[rotation]->read(header, block))
		return no_server;
	uint32_t id = 0;
	for (uint32_t i = 0; i < configs_[rotation]->server_id_length(); i++) {
		if (id >> 24)
			return no_server;
		id = id << 8 | block[i];
	}
	return id;
}

uint32_t QuicIds::write(uint32_t rotation, uint32_t id, const uint8_t *nonce, uint8_t *out) const
{
	if (rotation >= rotations || !configs_[rotation])
		return 0;
	const uint32_t n = configs_[rotation]->server_id_length();
	if (n < 4 && id >> (8 * n))
		return 0;
	uint8_t server_id[20] = {};
	for (uint32_t i = 0; i < std::min(n, 4u); i++)
		server_id[n - 1 - i] = static_cast<uint8_t>(id >> (8 * i));
	return configs_[rotation]->write(server_id, nonce, out);
}

} // namespace reframer::balance
