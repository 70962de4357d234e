/**
 * A load balancer that breaks no connection when servers come and go, and keeps no state for most.
 *
 * The number of a connection's server travels in the TCP timestamps that both ends exchange anyway
 * (the idea of Cheetah, NSDI'20): packets from a server leave with a cookie in the upper bits of
 * their timestamp, the client echoes it, and the echo names the server. The server gets back the
 * very timestamp that it sent. The word that a client sees, from the top:
 *
 *   version_bits  the next bits of the server's clock above those at the bottom
 *   id bits       server id, masked by a keyed hash of (client, ports); as many as max_servers needs
 *   check_bits    zeros under the same mask
 *   the rest      the low bits of the server's clock, unchanged
 *
 * So 32 - id bits - check_bits bits of the clock are in the word, and what lies above them comes
 * from the last timestamp of that server. With 256 servers that is 2^24 ticks, 4.6 hours of the usual
 * 1 kHz clock: an echo older than that is given back short of whole multiples of it. A client that
 * was idle for longer than 2^(version_bits-1) - 1 of 2^version_bits parts of that time (105 minutes)
 * would take newer words for older ones; its next packet, also the one by which it refuses such a
 * word, moves the connection into the flow table, which carries it on from the word that it has.
 *
 * The flow table has, beside these, what a cookie cannot serve: connections without timestamps, UDP,
 * and servers whose clocks differ by client (Linux with net.ipv4.tcp_timestamps = 1, its default) or
 * run faster than a kHz. That is found out by looking at their timestamps, and a server counts as one
 * of those until four clients have agreed on its clock. The cookie names their servers too: the
 * table only keeps the clock, so a connection does not break if its entry is lost.
 *
 * Frames are Ethernet (up to two VLAN tags) with IPv4 or IPv6. To servers the destination address
 * changes, to clients the source address; ports and the client's address stay, so servers must route
 * their answers through here. A service has an address of either family or of both, and each of its
 * servers has the same families: it is one server with one id, whichever a connection uses. QUIC
 * follows its connection ids, see struct balancer_quic. Fragments follow their first one, ICMP errors
 * the packet that they quote. IPv6 extension headers are read; a packet that its routing header sends
 * on to another host is none of ours, nor is what finds neighbours and routers.
 *
 * Time: `now_ns` is any monotonic clock in nanoseconds.
 *
 * Ownership: frames are the caller's and are changed in place. Objects are freed by their own
 * function.
 *
 * Thread safety: a balancer belongs to one thread at a time, changes of the pool included. Those that
 * rebuild tables (add, drain, activate, remove, weights) take up to some milliseconds with hundreds of
 * servers; reports of loads take microseconds. Both directions of a connection
 * must come to the same balancer. Several balancers with the same key and the same ids understand each
 * other's cookies.
 *
 * Errors: functions that can fail return a negative errno value; balancer_check() puts -EINVAL into
 * words.
 */
#ifndef REFRAMER_BALANCER_H
#define REFRAMER_BALANCER_H

#include <reframer/version.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct balancer;

/** Ids are below this. */
#define BALANCER_MAX_SERVERS 4096
/** Entries of a server's indirection table at most, and cores of a server at most. */
#define BALANCER_MAX_BUCKETS 512
#define BALANCER_MAX_CORES 256

/** Which server a new connection goes to, of those that are active. */
enum balancer_policy {
	/** In turn */
	BALANCER_ROUND_ROBIN = 0,
	/** In turn, by weight */
	BALANCER_WEIGHTED = 1,
	/** The same with weights that fall as reported loads rise above their mean */
	BALANCER_ADAPTIVE = 2,
	/** The less loaded of two drawn at random */
	BALANCER_POWER_OF_TWO = 3,
	/** The least loaded */
	BALANCER_LEAST_LOADED = 4,
	/** Consistent hashing of the connection: Maglev (NSDI'16), by weight */
	BALANCER_MAGLEV = 5,
	/** The same on a ring of 100 points a server and unit of weight */
	BALANCER_RING = 6,
	/** Hash modulo servers: what breaks most when one leaves */
	BALANCER_HASH = 7,
	/** The server whose core the connection will land on is least loaded: balancer_set_cores() */
	BALANCER_CROSS_RSS = 8,
};

/** How a connection's later packets find its server. */
enum balancer_memory {
	/** By cookie, and by the flow table where there is none */
	BALANCER_COOKIE = 0,
	/** By the flow table alone, QUIC too */
	BALANCER_TRACK = 1,
	/** Not at all: every packet goes where its hash says; BALANCER_MAGLEV, RING and HASH only */
	BALANCER_FORGET = 2,
};

/** What is known of a server's timestamps beforehand. */
enum balancer_clock {
	/** To be found out */
	BALANCER_CLOCK_DETECT = 0,
	/** One clock of at most a kHz for all clients: Linux with net.ipv4.tcp_timestamps = 2 */
	BALANCER_CLOCK_UNIFORM = 1,
	/** One a client or connection, or a faster one */
	BALANCER_CLOCK_DIFFERING = 2,
};

enum balancer_flag {
	/**
	 * Whatever does not come from a server goes to one, as if each address were the service: for
	 * measuring with traffic that was not made for a balancer. Connections in the flow table are then
	 * known in the direction to the servers only.
	 */
	BALANCER_ANY_DESTINATION = 1u << 0,
	/**
	 * A new connection counts at once, as connection_load, until its server's next report. Without it
	 * policies by load send all that comes between two reports to the same servers. Default on.
	 */
	BALANCER_BOOK = 1u << 1,
};

/** Where a frame goes. */
enum balancer_verdict {
	/** Neither from a server nor for the service; unchanged */
	BALANCER_OTHER = 0,
	/** To `server`; destination rewritten */
	BALANCER_TO_SERVER = 1,
	/** From `server` to a client; source rewritten */
	BALANCER_TO_CLIENT = 2,
	/**
	 * A RST or an ICMP error of a connection that nothing here tells the server of. Unchanged: send a
	 * copy to each server, by balancer_direct(); those without the connection ignore it. Beyond
	 * flood_per_second of them a second they go by hash.
	 */
	BALANCER_TO_ALL = 3,
	/** To be dropped: a malformed header, no active server, or no room in the flow table */
	BALANCER_DROP = 4,
};

struct balancer_params {
	/** sizeof(struct balancer_params) of the caller, set by balancer_default_params() */
	size_t size;
	/**
	 * The service's IPv4 address, as clients see it; network order. Zeros (default): none, there must be
	 * a service6.
	 */
	uint8_t service[4];
	/** Ids, 1..4096; default 256. Fixed: the cookie is as wide as they need. */
	uint32_t max_servers;
	/** 2..8; default 3. More let clients be idle for longer, up to half as long again. */
	uint32_t version_bits;
	/** 0..8; default 0. Each halves the chance of a forged cookie, and the idle times above. */
	uint32_t check_bits;
	/** enum balancer_policy; default BALANCER_ROUND_ROBIN */
	uint32_t policy;
	/** enum balancer_memory; default BALANCER_COOKIE */
	uint32_t memory;
	/** Bits of enum balancer_flag; default BALANCER_BOOK */
	uint32_t flags;
	/** Frames a second with verdict BALANCER_TO_ALL, 0..10^6; default 1000 */
	uint32_t flood_per_second;
	/** Entries of the flow table at most, 64..2^26; default 2^20. It starts small and grows. */
	uint64_t max_connections;
	/**
	 * Idle time after which an entry goes, ns: before the client's second packet, default 30 s; of a
	 * connection, 2 h 4 min (RFC 5382); after FIN or RST, 2 min; UDP, 2 min (RFC 4787)
	 */
	uint64_t opening_ns, established_ns, closing_ns, udp_ns;
	/**
	 * What a new connection is taken to add to a server's load, and to a core's; default 1. Less than
	 * the mean where connections are shorter than the time between reports.
	 */
	double connection_load;
	/** Secret of masks and hashes; zeros (default) draw one */
	uint8_t key[16];
	/** UDP port whose packets are QUIC, once there is a balancer_set_quic(); host order, default 443 */
	uint32_t quic_port;
	uint32_t reserved;
	/** The service's IPv6 address; zeros (default): none */
	uint8_t service6[16];
};

/**
 * How QUIC servers make connection ids, as draft-ietf-quic-load-balancers-21 says: first octet, the
 * server's id of this balancer (big-endian), nonce. Packets follow such an id from whatever address
 * they come. A client's first packets, whose ids it draws itself, and ids of servers without this
 * go by the flow table.
 */
struct balancer_quic {
	/** sizeof(struct balancer_quic) of the caller, set by balancer_default_quic() */
	size_t size;
	/** The first octet's upper three bits, 0..6: several may be in use while they change. Default 0 */
	uint32_t rotation;
	/** Octets: server id 1..15, default 2; nonce 4..18, default 6; at most 19 together */
	uint32_t server_id_length, nonce_length;
	/**
	 * Whether the first octet's lower five bits say how long the rest is. Default 1: of the ids that
	 * clients draw few pass for one.
	 */
	uint32_t length_encoded;
	/** Whether server id and nonce are encrypted by AES-128 with `key`. Default 0 */
	uint32_t encrypted;
	uint8_t key[16];
	uint32_t reserved;
};

struct balancer_server {
	/** sizeof(struct balancer_server) of the caller, set by balancer_default_server() */
	size_t size;
	/** IPv4, network order; where the service has one, and then only */
	uint8_t address[4];
	/** Ethernet destination of frames to it; zeros (default) leave the Ethernet header as it is */
	uint8_t mac[6];
	/** Share of new connections, 0..1000; default 1 */
	uint32_t weight;
	/** enum balancer_clock; default BALANCER_CLOCK_DETECT */
	uint32_t clock;
	/** IPv6, where the service has one, and then only */
	uint8_t address6[16];
};

/** How a server spreads packets over its cores: as `ethtool -x` shows it. */
struct balancer_cores {
	/** RSS key, 40 bytes */
	uint8_t key[40];
	/** Entries of `table`, a power of two, 1..512 */
	uint32_t nb_buckets;
	/** Cores, 1..256 */
	uint32_t nb_cores;
	/** Core of each bucket, below nb_cores */
	const uint16_t *table;
};

struct balancer_frame {
	/** The frame, written in place */
	uint8_t *data;
	/** Bytes at `data` */
	uint32_t length;
	/** out: id, or UINT32_MAX */
	uint32_t server;
	/** out: enum balancer_verdict */
	uint32_t verdict;
};

/** Packets since creation, but for the first three. */
struct balancer_stats {
	/** Servers that take new connections; that only keep theirs */
	uint32_t active, draining;
	/** Entries of the flow table */
	uint64_t connections;
	uint64_t to_server, to_client, to_all, other, dropped;
	/** New connections that the policy placed */
	uint64_t placed;
	/** To servers: by cookie; by the flow table; by QUIC connection id; by hash, see below */
	uint64_t by_cookie, by_table, by_quic, by_hash;
	/** Echoes that name no server that there is: of one that was removed, forged, of before this balancer */
	uint64_t wrong_cookies;
	/** Of servers that were removed: the packet goes to another, whose answer ends the connection */
	uint64_t gone;
	/** Not the first of a connection, and nothing tells its server: goes by hash */
	uint64_t strays;
	/** Echoes whose upper bits could not be known: no packet of that server has come yet */
	uint64_t unrestored;
	/** Later fragments whose first one has not come */
	uint64_t lost_fragments;
	/** ICMP errors that followed the packet that they quote */
	uint64_t errors_followed;
	/** Connections that had been idle for so long that the flow table carries them on */
	uint64_t carried_on;
	/** New connections and clocks that the flow table had no room for */
	uint64_t refused;
	/** Malformed frames */
	uint64_t malformed;
	/** Servers whose clocks are known to be one for all clients */
	uint32_t uniform;
	uint32_t reserved;
	/** QUIC packets whose id names no server that there is: by the flow table */
	uint64_t unroutable_ids;
};

/** What balancer_default_params() calls: writes `size` bytes, no more. */
void balancer_params_init(struct balancer_params *params, size_t size);
static inline void balancer_default_params(struct balancer_params *params)
{
	balancer_params_init(params, sizeof(*params));
}
/** What balancer_default_server() calls: writes `size` bytes, no more. */
void balancer_server_init(struct balancer_server *server, size_t size);
static inline void balancer_default_server(struct balancer_server *server)
{
	balancer_server_init(server, sizeof(*server));
}
/** What balancer_default_quic() calls: writes `size` bytes, no more. */
void balancer_quic_init(struct balancer_quic *quic, size_t size);
static inline void balancer_default_quic(struct balancer_quic *quic)
{
	balancer_quic_init(quic, sizeof(*quic));
}
/**
 * Says what is wrong with parameters: "version_bits is 1, must be 2 to 8".
 * @param why room for `n` bytes, 128 are enough; gets an empty string if nothing is wrong. May be
 *   NULL.
 * @return 0 or -EINVAL, as balancer_create() would.
 */
int balancer_check(const struct balancer_params *params, char *why, size_t n);
/** @return 0, -EINVAL (see balancer_check()), -ENOMEM. */
int balancer_create(const struct balancer_params *params, struct balancer **out);
/** NULL is harmless. */
void balancer_free(struct balancer *b);

/**
 * Adds a server, which takes new connections from now on.
 * @return its id, the same as long as it is in the pool: one that never had a server, else the one
 *   that lost its server longest ago. -EINVAL (also other families than the service's), -EEXIST (an
 *   address is in the pool), -ENOSPC.
 */
int balancer_add(struct balancer *b, const struct balancer_server *server);
/** No new connections; those that it has go on. @return 0, -ENOENT. */
int balancer_drain(struct balancer *b, uint32_t id);
/** Takes new connections again. @return 0, -ENOENT. */
int balancer_activate(struct balancer *b, uint32_t id);
/** Ends its connections too. @return 0, -ENOENT. */
int balancer_remove(struct balancer *b, uint32_t id);
/** @param weight 0..1000. @return 0, -ENOENT, -EINVAL. */
int balancer_set_weight(struct balancer *b, uint32_t id, uint32_t weight);
/** @return the id of the server with this address, -ENOENT. */
int balancer_find(const struct balancer *b, const uint8_t address[4]);
/** The same of an IPv6 address. */
int balancer_find6(const struct balancer *b, const uint8_t address[16]);
/**
 * Tells how busy a server is, on any scale that all share: connections, CPU share.
 * @param load 0 or more. @return 0, -ENOENT, -EINVAL.
 */
int balancer_report_load(struct balancer *b, uint32_t id, double load);
/** For BALANCER_CROSS_RSS. The table is copied. @return 0, -ENOENT, -EINVAL, -ENOMEM. */
int balancer_set_cores(struct balancer *b, uint32_t id, const struct balancer_cores *cores);
/** Load of each core. @param loads `nb` of them. @return 0, -ENOENT, -EINVAL (not its cores). */
int balancer_report_cores(struct balancer *b, uint32_t id, const float *loads, uint32_t nb);
/**
 * BALANCER_CROSS_RSS: the core that a TCP or UDP packet of this client will land on, by the key and
 * table that were given. Ports in host order. @return the core, -ENOENT.
 */
int balancer_core_of(const struct balancer *b, uint32_t id, const uint8_t client[4],
                     uint16_t client_port, uint16_t service_port);
/** The same of a client with an IPv6 address. */
int balancer_core_of6(const struct balancer *b, uint32_t id, const uint8_t client[16],
                      uint16_t client_port, uint16_t service_port);

/**
 * From now on ids of this rotation are read so. They are cookies: only with BALANCER_COOKIE.
 * @return 0, -EINVAL (also with another memory), -ENOMEM, -ENOTSUP (encrypted, on a CPU without AES instructions).
 */
int balancer_set_quic(struct balancer *b, const struct balancer_quic *quic);
/** @return 0, -ENOENT. */
int balancer_clear_quic(struct balancer *b, uint32_t rotation);
/**
 * A connection id of server `id`, as the server itself would make it.
 * @param nonce nonce_length bytes that no other id of this server has
 * @param out room for 20 bytes
 * @return its length, -ENOENT (no such rotation, or `id` does not fit).
 */
int balancer_quic_id(const struct balancer *b, uint32_t rotation, uint32_t id, const uint8_t *nonce,
                     uint8_t *out);

/** Decides on frames and rewrites them, in order. */
void balancer_process(struct balancer *b, struct balancer_frame *frames, uint32_t count,
                      uint64_t now_ns);
/** Rewrites a frame of verdict BALANCER_TO_ALL, or a copy of it, for one server. @return 0, -ENOENT, -EINVAL. */
int balancer_direct(struct balancer *b, uint8_t *data, uint32_t length, uint32_t id);
/** Ids of servers in the pool, active and draining. @return how many there are; at most `room` are written. */
uint32_t balancer_servers(const struct balancer *b, uint32_t *ids, uint32_t room);

/** What balancer_get_stats() calls: writes `size` bytes, no more. */
void balancer_stats_get(const struct balancer *b, struct balancer_stats *out, size_t size);
static inline void balancer_get_stats(const struct balancer *b, struct balancer_stats *out)
{
	balancer_stats_get(b, out, sizeof(*out));
}

#ifdef __cplusplus
}
#endif
#endif
