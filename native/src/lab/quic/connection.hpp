// One HTTP/3 connection of the QUIC server: every request gets the same body, one that brings a body
// gets the SHA-256 of that.
#pragma once

#include "lab/quic/routable_id.hpp"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace reframer::lab {

class QuicConnection;

// What connections have in common.
struct QuicHost {
	RoutableIds ids;
	std::string body;
	sockaddr_in6 address{};
	int socket = -1;
	gnutls_certificate_credentials_t credentials = nullptr;

	virtual ~QuicHost() = default;
	virtual void knows(const std::string &id, QuicConnection *connection) = 0;
	virtual void forgets(const std::string &id) = 0;
};

uint64_t quic_now(); // ns

class QuicConnection {
public:
	// Of a client's first packet. Throws std::runtime_error.
	QuicConnection(QuicHost &host, const ngtcp2_pkt_hd &first, const sockaddr_in6 &from);
	~QuicConnection();
	QuicConnection(const QuicConnection &) = delete;

	void read(const uint8_t *data, size_t length, const sockaddr_in6 &from);
	// Sends what may be sent by now.
	void write();
	void expire();
	uint64_t expiry() const { return ngtcp2_conn_get_expiry(quic_); }
	bool ended() const { return ended_; }
	// Client addresses that packets of it came from.
	size_t addresses() const { return seen_.size(); }

private:
	static QuicConnection &of(void *user_data) { return *static_cast<QuicConnection *>(user_data); }
	static ngtcp2_callbacks quic_callbacks();
	static nghttp3_callbacks http_callbacks();
	ngtcp2_path path_from(sockaddr_in6 &from);
	ngtcp2_cid new_id();
	void set_up_tls();
	bool set_up_http();
	void answer(int64_t stream);
	void take_body(int64_t stream, const uint8_t *data, size_t n);

	QuicHost &host_;
	ngtcp2_conn *quic_ = nullptr;
	nghttp3_conn *http_ = nullptr;
	gnutls_session_t tls_ = nullptr;
	ngtcp2_crypto_conn_ref reference_{};
	std::set<std::string> ids_;
	std::set<std::string> seen_;
	// Of streams with a body: its sum so far; what they get.
	std::map<int64_t, gnutls_hash_hd_t> sums_;
	std::map<int64_t, std::string> answers_;
	bool ended_ = false;
};

} // namespace reframer::lab
