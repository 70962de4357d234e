#include "lab/quic/connection.hpp"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <stdexcept>

namespace reframer::lab {

namespace {

constexpr const char *priority =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:%DISABLE_TLS13_COMPAT_MODE";
constexpr size_t longest = 1200; // of a datagram: QUIC's least, so that no path is too narrow

void draw(uint8_t *to, size_t n)
{
	gnutls_rnd(GNUTLS_RND_NONCE, to, n);
}

std::string text(const ngtcp2_cid &id)
{
	return {reinterpret_cast<const char *>(id.data), id.datalen};
}

} // namespace

uint64_t quic_now()
{
	return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

ngtcp2_cid QuicConnection::new_id()
{
	uint8_t nonce[20];
	draw(nonce, sizeof(nonce));
	const auto octets = host_.ids.id(nonce);
	ngtcp2_cid id;
	ngtcp2_cid_init(&id, octets.data(), octets.size());
	ids_.insert(text(id));
	host_.knows(text(id), this);
	return id;
}

ngtcp2_path QuicConnection::path_from(sockaddr_in6 &from)
{
	ngtcp2_path path{};
	path.local = {reinterpret_cast<sockaddr *>(&host_.address), sizeof(host_.address)};
	path.remote = {reinterpret_cast<sockaddr *>(&from), sizeof(from)};
	return path;
}

void QuicConnection::set_up_tls()
{
	gnutls_init(&tls_, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET);
	if (gnutls_priority_set_direct(tls_, priority, nullptr) != 0 ||
	    ngtcp2_crypto_gnutls_configure_server_session(tls_) != 0)
		throw std::runtime_error("TLS cannot be set up");
	reference_.get_conn = [](ngtcp2_crypto_conn_ref *r) { return of(r->user_data).quic_; };
	reference_.user_data = this;
	gnutls_session_set_ptr(tls_, &reference_);
	gnutls_credentials_set(tls_, GNUTLS_CRD_CERTIFICATE, host_.credentials);
	static unsigned char h3[] = {'h', '3'};
	const gnutls_datum_t protocol = {h3, sizeof(h3)};
	gnutls_alpn_set_protocols(tls_, &protocol, 1, GNUTLS_ALPN_MANDATORY);
}

QuicConnection::QuicConnection(QuicHost &host, const ngtcp2_pkt_hd &first, const sockaddr_in6 &from)
	: host_(host)
{
	set_up_tls();
	ngtcp2_settings settings;
	ngtcp2_settings_default(&settings);
	settings.initial_ts = quic_now();
	settings.max_tx_udp_payload_size = longest;
	ngtcp2_transport_params params;
	ngtcp2_transport_params_default(&params);
	params.original_dcid = first.dcid;
	params.initial_max_streams_bidi = 100;
	params.initial_max_streams_uni = 3; // HTTP/3: control and two of QPACK
	params.initial_max_data = 1 << 20;
	params.initial_max_stream_data_bidi_remote = params.initial_max_stream_data_uni = 1 << 18;
	params.max_idle_timeout = 30 * NGTCP2_SECONDS;
	params.active_connection_id_limit = 7;
	const ngtcp2_cid id = new_id();
	const ngtcp2_callbacks callbacks = quic_callbacks();
	sockaddr_in6 remote = from;
	const ngtcp2_path path = path_from(remote);
	if (ngtcp2_conn_server_new(&quic_, &first.scid, &id, &path, first.version, &callbacks,
	                           &settings, &params, nullptr, this) != 0)
		throw std::runtime_error("no connection can be made");
	ngtcp2_conn_set_tls_native_handle(quic_, tls_);
	// The client goes on with the id that it drew until it knows ours.
	ids_.insert(text(first.dcid));
	host_.knows(text(first.dcid), this);
}

QuicConnection::~QuicConnection()
{
	for (const std::string &id : ids_)
		host_.forgets(id);
	for (const auto &[stream, sum] : sums_)
		gnutls_hash_deinit(sum, nullptr);
	nghttp3_conn_del(http_);
	ngtcp2_conn_del(quic_);
	gnutls_deinit(tls_);
}

bool QuicConnection::set_up_http()
{
	nghttp3_settings settings;
	nghttp3_settings_default(&settings);
	const nghttp3_callbacks callbacks = http_callbacks();
	int64_t control, encoder, decoder;
	return nghttp3_conn_server_new(&http_, &callbacks, &settings, nghttp3_mem_default(), this) ==
	           0 &&
	       ngtcp2_conn_open_uni_stream(quic_, &control, nullptr) == 0 &&
	       ngtcp2_conn_open_uni_stream(quic_, &encoder, nullptr) == 0 &&
	       ngtcp2_conn_open_uni_stream(quic_, &decoder, nullptr) == 0 &&
	       nghttp3_conn_bind_control_stream(http_, control) == 0 &&
	       nghttp3_conn_bind_qpack_streams(http_, encoder, decoder) == 0;
}

void QuicConnection::take_body(int64_t stream, const uint8_t *data, size_t n)
{
	gnutls_hash_hd_t &sum = sums_[stream];
	if (!sum)
		gnutls_hash_init(&sum, GNUTLS_DIG_SHA256);
	gnutls_hash(sum, data, n);
	ngtcp2_conn_extend_max_stream_offset(quic_, stream, n);
	ngtcp2_conn_extend_max_offset(quic_, n);
}

void QuicConnection::answer(int64_t stream)
{
	std::string *body = &host_.body;
	if (const auto sum = sums_.find(stream); sum != sums_.end()) {
		uint8_t digest[32];
		gnutls_hash_deinit(sum->second, digest);
		sums_.erase(sum);
		body = &answers_[stream];
		for (const uint8_t octet : digest)
			for (const int shift : {4, 0})
				body->push_back("0123456789abcdef"[octet >> shift & 15]);
	}
	const auto field = [](const char *name, const std::string &value) {
		return nghttp3_nv{reinterpret_cast<uint8_t *>(const_cast<char *>(name)),
		                  reinterpret_cast<uint8_t *>(const_cast<char *>(value.data())),
		                  std::strlen(name), value.size(), NGHTTP3_NV_FLAG_NONE};
	};
	const std::string ok = "200", length = std::to_string(body->size());
	const nghttp3_nv fields[] = {field(":status", ok), field("content-length", length)};
	nghttp3_data_reader reader{};
	reader.read_data = [](nghttp3_conn *, int64_t id, nghttp3_vec *pieces, size_t, uint32_t *flags,
	                      void *user, void *) -> nghttp3_ssize {
		QuicConnection &c = of(user);
		const auto own = c.answers_.find(id);
		std::string &all = own == c.answers_.end() ? c.host_.body : own->second;
		pieces[0] = {reinterpret_cast<uint8_t *>(all.data()), all.size()};
		*flags |= NGHTTP3_DATA_FLAG_EOF;
		return 1;
	};
	nghttp3_conn_submit_response(http_, stream, fields, 2, &reader);
}

nghttp3_callbacks QuicConnection::http_callbacks()
{
	nghttp3_callbacks c{};
	c.end_stream = [](nghttp3_conn *, int64_t stream, void *user, void *) {
		of(user).answer(stream);
		return 0;
	};
	c.recv_data = [](nghttp3_conn *, int64_t stream, const uint8_t *data, size_t n, void *user,
	                 void *) {
		of(user).take_body(stream, data, n);
		return 0;
	};
	return c;
}

ngtcp2_callbacks QuicConnection::quic_callbacks()
{
	ngtcp2_callbacks c{};
	c.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
	c.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
	c.encrypt = ngtcp2_crypto_encrypt_cb;
	c.decrypt = ngtcp2_crypto_decrypt_cb;
	c.hp_mask = ngtcp2_crypto_hp_mask_cb;
	c.update_key = ngtcp2_crypto_update_key_cb;
	c.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
	c.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
	c.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
	c.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
	c.rand = [](uint8_t *to, size_t n, const ngtcp2_rand_ctx *) { draw(to, n); };
	c.handshake_completed = [](ngtcp2_conn *, void *user) {
		return of(user).set_up_http() ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
	};
	c.get_new_connection_id = [](ngtcp2_conn *, ngtcp2_cid *id, uint8_t *token, size_t,
	                             void *user) {
		*id = of(user).new_id();
		draw(token, NGTCP2_STATELESS_RESET_TOKENLEN);
		return 0;
	};
	c.remove_connection_id = [](ngtcp2_conn *, const ngtcp2_cid *id, void *user) {
		of(user).host_.forgets(text(*id));
		of(user).ids_.erase(text(*id));
		return 0;
	};
	c.recv_stream_data = [](ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t,
	                        const uint8_t *data, size_t n, void *user, void *) {
		const auto used = nghttp3_conn_read_stream(of(user).http_, stream, data, n,
		                                           flags & NGTCP2_STREAM_DATA_FLAG_FIN);
		if (used < 0)
			return int{NGTCP2_ERR_CALLBACK_FAILURE};
		ngtcp2_conn_extend_max_stream_offset(quic, stream, static_cast<uint64_t>(used));
		ngtcp2_conn_extend_max_offset(quic, static_cast<uint64_t>(used));
		return 0;
	};
	c.acked_stream_data_offset = [](ngtcp2_conn *, int64_t stream, uint64_t, uint64_t n, void *user,
	                                void *) {
		if (of(user).http_)
			nghttp3_conn_add_ack_offset(of(user).http_, stream, n);
		return 0;
	};
	c.extend_max_stream_data = [](ngtcp2_conn *, int64_t stream, uint64_t, void *user, void *) {
		if (of(user).http_)
			nghttp3_conn_unblock_stream(of(user).http_, stream);
		return 0;
	};
	c.stream_close = [](ngtcp2_conn *quic, uint32_t, int64_t stream, uint64_t code, void *user,
	                    void *) {
		if (of(user).http_)
			nghttp3_conn_close_stream(of(user).http_, stream, code);
		if (ngtcp2_is_bidi_stream(stream))
			ngtcp2_conn_extend_max_streams_bidi(quic, 1);
		return 0;
	};
	return c;
}

void QuicConnection::read(const uint8_t *data, size_t length, const sockaddr_in6 &from)
{
	std::string address(reinterpret_cast<const char *>(&from.sin6_addr), sizeof(from.sin6_addr));
	address.append(reinterpret_cast<const char *>(&from.sin6_port), sizeof(from.sin6_port));
	seen_.insert(std::move(address));
	sockaddr_in6 remote = from;
	const ngtcp2_path path = path_from(remote);
	const ngtcp2_pkt_info info{};
	if (ngtcp2_conn_read_pkt(quic_, &path, &info, data, length, quic_now()) != 0)
		ended_ = true;
}

void QuicConnection::expire()
{
	if (ngtcp2_conn_handle_expiry(quic_, quic_now()) != 0)
		ended_ = true;
}

void QuicConnection::write()
{
	uint8_t packet[longest];
	ngtcp2_path_storage to;
	ngtcp2_path_storage_zero(&to);
	ngtcp2_pkt_info info;
	// As much as the pacer gives at a time.
	const size_t quantum = ngtcp2_conn_get_send_quantum(quic_);
	for (size_t sent = 0; !ended_ && sent < quantum;) {
		nghttp3_vec pieces[8];
		int64_t stream = -1;
		int fin = 0;
		nghttp3_ssize nb = 0;
		if (http_ && ngtcp2_conn_get_max_data_left(quic_) > 0)
			nb = nghttp3_conn_writev_stream(http_, &stream, &fin, pieces, 8);
		ngtcp2_ssize taken = -1;
		const ngtcp2_ssize n = ngtcp2_conn_writev_stream(
			quic_, &to.path, &info, packet, sizeof(packet), &taken,
			fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, stream,
			reinterpret_cast<const ngtcp2_vec *>(pieces),
			static_cast<size_t>(std::max<nghttp3_ssize>(nb, 0)), quic_now());
		if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
			nghttp3_conn_block_stream(http_, stream);
			continue;
		}
		if (n == NGTCP2_ERR_STREAM_SHUT_WR) {
			nghttp3_conn_shutdown_stream_write(http_, stream);
			continue;
		}
		if (n < 0) {
			ended_ = true;
			return;
		}
		if (taken >= 0)
			nghttp3_conn_add_write_offset(http_, stream, static_cast<size_t>(taken));
		if (n == 0)
			break;
		sendto(host_.socket, packet, static_cast<size_t>(n), 0, to.path.remote.addr,
		       to.path.remote.addrlen);
		sent += static_cast<size_t>(n);
	}
	ngtcp2_conn_update_pkt_tx_time(quic_, quic_now());
}

} // namespace reframer::lab
