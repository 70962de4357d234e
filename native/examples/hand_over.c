// A whole hand-over: two cores, each with a queue, a stage of Reframer and a table of flows. RSS++ moves
// buckets between them while packets run, and with a bucket its flows' state; each packet is counted
// once, in order, at whichever core has its flow then. main() stands in for a NIC.
//
//   cc -std=gnu11 hand_over.c -o hand_over $(pkg-config --cflags --libs reframer)
//   ./hand_over 1000000
#include <reframer/conntrack.h>
#include <reframer/per_run.h>
#include <reframer/rsspp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

enum { NB_CORES = 2, NB_BUCKETS = 64, NB_FLOWS = 1000, QUEUE = 1024, BURST = 32, ROOM = 4 * BURST };

struct packet {
	uint32_t number, hash; // of its flow: 1, 2, ...
	uint32_t key[CONNTRACK_KEY_IPV4 / 4];
};
struct core {
	uint16_t id, buckets[NB_BUCKETS];
	struct reframer_stage *stage;
	struct conntrack_table *table; // a flow's state: the number of its latest packet
	struct packet *queue[QUEUE];
	_Atomic uint64_t tail, head; // of the queue: main() writes the one, the core the other
	_Atomic uint64_t busy_ns, served;
	uint32_t counted;
};

static struct core cores[NB_CORES];
static struct rsspp_handover *handover;
static struct conntrack_group *travelling[NB_BUCKETS]; // between tables, as the hand-over orders
static _Atomic uint32_t stop, out_of_order;

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// One look-up a run. Flows with equal hashes share a run, seldom: keys tell them apart.
static void count(void *context, void *const *packets, uint32_t nb, const struct reframer_run *run)
{
	struct core *c = context;
	uint64_t *last = NULL, digest;
	for (uint32_t i = 0; i < nb; i++) {
		const struct packet *p = packets[i], *before = i > 0 ? packets[i - 1] : NULL;
		if (!before || memcmp(before->key, p->key, sizeof(p->key)) != 0) {
			conntrack_digest_burst(c->table, p->key, &p->hash, 1, &digest);
			last = conntrack_find_or_insert(c->table, p->key, &digest, 0, NULL);
		}
		if (!last)
			continue; // no room, or not this core's: main() finds that it was not counted
		out_of_order += p->number != *last + 1;
		*last = p->number;
		c->counted++;
	}
	c->served += nb;
	(void)run;
}

static void serve(struct core *c, uint64_t now)
{
	void *out[ROOM];
	struct reframer_run runs[ROOM];
	for (uint32_t n = ROOM; n == ROOM;) {
		uint32_t nb_runs = ROOM;
		n = reframer_poll(c->stage, now, out, ROOM, runs, &nb_runs);
		reframer_per_run(runs, nb_runs, out, n, count, c);
	}
}

// Buckets that leave: what the stage holds of them is served, then their flows are taken out.
static void give_up(struct core *c, uint64_t now)
{
	const int64_t waiting = (int64_t)(c->tail - c->head);
	const uint32_t n = rsspp_handover_poll(handover, c->id, c->head, waiting, c->buckets);
	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		reframer_release_bucket(c->stage, NB_BUCKETS - 1, c->buckets[i]);
	serve(c, now);
	for (uint32_t i = 0; i < n; i++)
		travelling[c->buckets[i]] = conntrack_detach_group(c->table, c->buckets[i], 0);
	rsspp_handover_release(handover, c->id);
}

static int run(void *context)
{
	struct core *c = context;
	while (!stop) {
		const uint64_t now = clock_ns();
		void *in[BURST], *mine[ROOM];
		uint32_t hash[BURST], mine_hash[ROOM], n = 0, nb = 0;
		for (; n < BURST && c->head + n != c->tail; n++) {
			in[n] = c->queue[(c->head + n) % QUEUE];
			hash[n] = c->queue[(c->head + n) % QUEUE]->hash;
		}
		c->head += rsspp_handover_admit(handover, c->id, in, hash, n, mine, mine_hash, ROOM, &nb);
		for (n = rsspp_handover_gained(handover, c->id, c->buckets); n > 0; n--)
			conntrack_attach_group(c->table, travelling[c->buckets[n - 1]], 0);
		const struct reframer_burst burst = {mine, NULL, NULL, NULL, mine_hash, nb};
		reframer_push(c->stage, &burst, now);
		serve(c, now);
		give_up(c, now);
		c->busy_ns += nb > 0 ? clock_ns() - now : 0;
		if (nb == 0)
			thrd_yield();
	}
	return 0;
}

// An epoch: loads to moves. The hand-over is told before and after the indirection table is written.
static int balance(struct rsspp_balancer *balancer, uint16_t *table)
{
	static uint64_t at_ns, busy_ns[NB_CORES];
	uint64_t packets[NB_BUCKETS], now = clock_ns();
	float load[NB_CORES];
	rsspp_handover_counters(handover, packets);
	for (int i = 0; i < NB_CORES; i++) {
		load[i] = (float)(cores[i].busy_ns - busy_ns[i]) / (float)(now - at_ns);
		busy_ns[i] = cores[i].busy_ns;
	}
	at_ns = now;
	const struct rsspp_epoch epoch = {.packets = packets, .core_load = load};
	struct rsspp_move moves[NB_BUCKETS];
	struct rsspp_report report;
	const int n = rsspp_balancer_step(balancer, &epoch, moves, &report);
	for (int i = 0; i < n; i++)
		rsspp_handover_begin(handover, moves[i].bucket, moves[i].to);
	memcpy(table, rsspp_balancer_table(balancer), NB_BUCKETS * sizeof(*table));
	rsspp_handover_written(handover);
	return n;
}

static void make_core(struct core *c, uint16_t id)
{
	struct reframer_params stage;
	struct conntrack_params table;
	reframer_default_params(&stage);
	conntrack_default_params(&table);
	table.nb_groups = NB_BUCKETS;
	table.flags = CONNTRACK_NIC_HASH;
	table.seed = 1; // the same in both, for groups go from one to the other
	c->id = id;
	if (reframer_create(&stage, &c->stage) != 0 || conntrack_create(&table, &c->table) != 0)
		exit(1);
	for (uint32_t b = 0; b < NB_BUCKETS; b++)
		if (rsspp_handover_owner(handover, b) != id)
			conntrack_free_group(conntrack_detach_group(c->table, b, 0));
}

int main(int argc, char **argv)
{
	const uint32_t nb = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	struct packet *p = calloc(nb + 1, sizeof(*p));
	struct rsspp_balancer *balancer;
	struct rsspp_balancer_params b;
	struct rsspp_handover_params h;
	rsspp_balancer_default_params(&b);
	rsspp_handover_default_params(&h);
	b.nb_buckets = h.nb_buckets = NB_BUCKETS;
	b.nb_cores = h.nb_cores = NB_CORES;
	if (!p || rsspp_handover_create(&h, &handover) || rsspp_balancer_create(&b, &balancer))
		return 1;
	thrd_t threads[NB_CORES];
	for (uint16_t i = 0; i < NB_CORES; i++) {
		make_core(&cores[i], i);
		thrd_create(&threads[i], run, &cores[i]);
	}
	uint32_t sent[NB_FLOWS] = {0}, moves = 0;
	uint16_t table[NB_BUCKETS];
	memcpy(table, rsspp_balancer_table(balancer), sizeof(table));
	for (uint32_t i = 0; i < nb; i++, p++) { // most of even flows, which core 0 has at first
		p->key[0] = i * 7919 % NB_FLOWS & (i % 4 ? ~1u : ~0u);
		p->hash = p->key[0] * 2654435761u;
		p->number = ++sent[p->key[0]];
		if (i % 16384 == 0 && rsspp_handover_in_progress(handover) == 0)
			moves += balance(balancer, table);
		struct core *c = &cores[table[p->hash % NB_BUCKETS]];
		while (c->tail - c->head == QUEUE)
			thrd_yield();
		c->queue[c->tail % QUEUE] = p;
		c->tail++; // behind the packet, for the core goes by it
	}
	uint64_t until = clock_ns() + 10000000000u; // then something was lost
	while (cores[0].served + cores[1].served < nb && clock_ns() < until)
		thrd_yield();
	stop = 1;
	for (int i = 0; i < NB_CORES; i++)
		thrd_join(threads[i], NULL);
	const uint32_t counted = cores[0].counted + cores[1].counted;
	printf("%u packets, %u moves of buckets, %u packets out of order, %u counted at core 1\n",
	       counted, moves, out_of_order, cores[1].counted);
	return counted == nb && out_of_order == 0 ? 0 : 1;
}
