// reframer-quic-server: HTTP/3 over libngtcp2 for the balancer's experiment and tests; its connection
// ids say which server it is. Debian's servers draw theirs.
//
//   reframer-quic-server ADDRESS PORT FILE SERVER-ID [ROTATION SERVER-ID-LENGTH NONCE-LENGTH [KEY]]
//
// KEY is 32 hex digits. Every request gets FILE, one with a body the SHA-256 of that in
// hex. Says {"ready":PORT}; at SIGTERM
// {"connections","moved","unknown"}: of connections how many had packets from several addresses, and
// packets that belong to no connection here and open none, as where a balancer goes wrong.
#include "lab/quic/connection.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

using namespace reframer::lab;

namespace {

// A certificate of its own, for a day: clients of the experiment do not look at it.
gnutls_certificate_credentials_t own_certificate()
{
	gnutls_x509_privkey_t key;
	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
	                             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_t certificate;
	gnutls_x509_crt_init(&certificate);
	gnutls_x509_crt_set_version(certificate, 3);
	gnutls_x509_crt_set_key(certificate, key);
	gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, "balancer", 8);
	gnutls_x509_crt_set_activation_time(certificate, time(nullptr) - 3600);
	gnutls_x509_crt_set_expiration_time(certificate, time(nullptr) + 86400);
	const unsigned char serial[] = {1};
	gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
	gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
	gnutls_certificate_credentials_t credentials;
	gnutls_certificate_allocate_credentials(&credentials);
	gnutls_certificate_set_x509_key(credentials, &certificate, 1, key);
	gnutls_x509_crt_deinit(certificate);
	gnutls_x509_privkey_deinit(key);
	return credentials;
}

class Server : public QuicHost {
public:
	void knows(const std::string &id, QuicConnection *connection) override
	{
		by_id_[id] = connection;
	}
	void forgets(const std::string &id) override { by_id_.erase(id); }

	void take(const uint8_t *data, size_t n, const sockaddr_in6 &from)
	{
		ngtcp2_version_cid said;
		if (ngtcp2_pkt_decode_version_cid(&said, data, n, ids.length()) != 0)
			return;
		const auto known = by_id_.find({reinterpret_cast<const char *>(said.dcid), said.dcidlen});
		if (known != by_id_.end()) {
			known->second->read(data, n, from);
			known->second->write();
			return;
		}
		ngtcp2_pkt_hd first;
		if (!(data[0] & 0x80) || ngtcp2_accept(&first, data, n) != 0) {
			unknown_++;
			return;
		}
		auto made = std::make_unique<QuicConnection>(*this, first, from);
		made->read(data, n, from);
		made->write();
		connections_.push_back(std::move(made));
		total_++;
	}
	// How long nothing is due, ms.
	int work()
	{
		uint64_t next = UINT64_MAX;
		const uint64_t now = quic_now();
		for (auto &c : connections_) {
			if (c->expiry() <= now) {
				c->expire();
				c->write();
			}
			if (c->ended())
				moved_ += c->addresses() > 1;
			else
				next = std::min(next, c->expiry());
		}
		std::erase_if(connections_, [](const auto &c) { return c->ended(); });
		if (next == UINT64_MAX)
			return 1000;
		return next <= now
		           ? 0
		           : static_cast<int>(std::min<uint64_t>((next - now) / 1'000'000 + 1, 1000));
	}
	void report()
	{
		for (const auto &c : connections_)
			moved_ += c->addresses() > 1;
		std::printf("{\"connections\":%zu,\"moved\":%zu,\"unknown\":%zu}\n", total_, moved_,
		            unknown_);
	}

private:
	std::map<std::string, QuicConnection *> by_id_;
	std::vector<std::unique_ptr<QuicConnection>> connections_;
	size_t total_ = 0, moved_ = 0, unknown_ = 0;
};

[[noreturn]] void fail(const char *what)
{
	std::fprintf(stderr, "reframer-quic-server: %s\n", what);
	std::exit(2);
}

void read_arguments(Server &server, int argc, char **argv)
{
	if (argc < 5)
		fail("ADDRESS PORT FILE SERVER-ID [ROTATION SERVER-ID-LENGTH NONCE-LENGTH [KEY]]");
	// One socket for either family: IPv4 addresses as those of IPv6 that stand for them.
	const std::string given = argv[1];
	const std::string address = given.find(':') == std::string::npos ? "::ffff:" + given : given;
	server.address.sin6_family = AF_INET6;
	server.address.sin6_port = htons(static_cast<uint16_t>(std::atoi(argv[2])));
	if (inet_pton(AF_INET6, address.c_str(), &server.address.sin6_addr) != 1)
		fail("ADDRESS is no IP address");
	std::ifstream file(argv[3], std::ios::binary);
	std::stringstream content;
	content << file.rdbuf();
	server.body = content.str();
	if (server.body.empty())
		fail("FILE cannot be read, or is empty");
	const auto number = [&](int i, uint32_t fallback) {
		return argc > i ? static_cast<uint32_t>(std::atoi(argv[i])) : fallback;
	};
	server.ids.server_id = number(4, 0);
	server.ids.rotation = number(5, 0);
	server.ids.server_id_length = number(6, 2);
	server.ids.nonce_length = number(7, 6);
	if (server.ids.length() > 20 || server.ids.nonce_length < 4 || server.ids.rotation > 6 ||
	    server.ids.server_id_length < 1)
		fail("such ids cannot be made");
	for (const char *hex = argc > 8 ? argv[8] : ""; *hex; hex += 2) {
		unsigned octet = 0;
		if (std::sscanf(hex, "%2x", &octet) != 1)
			break;
		server.ids.key.push_back(static_cast<uint8_t>(octet));
	}
	if (!server.ids.key.empty() && server.ids.key.size() != 16)
		fail("KEY has not 32 hex digits");
}

} // namespace

int main(int argc, char **argv)
{
	Server server;
	read_arguments(server, argc, argv);
	server.credentials = own_certificate();
	server.socket = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	const int room = 4 << 20; // what a window of some connections holds
	setsockopt(server.socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(server.socket, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (bind(server.socket, reinterpret_cast<sockaddr *>(&server.address),
	         sizeof(server.address)) != 0)
		fail("ADDRESS and PORT cannot be bound");
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, nullptr);
	pollfd waits[] = {{server.socket, POLLIN, 0}, {signalfd(-1, &ends, 0), POLLIN, 0}};
	std::printf("{\"ready\":%s}\n", argv[2]);
	std::fflush(stdout);
	for (int wait = 1000;;) {
		poll(waits, 2, wait);
		if (waits[1].revents)
			break;
		uint8_t data[2048];
		for (int i = 0; i < 64; i++) { // then timers have their turn
			sockaddr_in6 from;
			socklen_t length = sizeof(from);
			const ssize_t n = recvfrom(server.socket, data, sizeof(data), 0,
			                           reinterpret_cast<sockaddr *>(&from), &length);
			if (n <= 0)
				break;
			server.take(data, static_cast<size_t>(n), from);
		}
		wait = server.work();
	}
	server.report();
	return 0;
}
