// liburcu's lock-free hash table: a split-ordered list under read-copy-update (flavour memb).
#define RCU_MEMB
#include "conntrack/contenders/concurrent_peer.hpp"

#include <urcu/urcu-memb.h>

#include <urcu/rculfhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <new>

namespace reframer::conntrack {

namespace {

// RCU has to know each thread that reads.
struct Registration {
	Registration() { urcu_memb_register_thread(); }
	~Registration() { urcu_memb_unregister_thread(); }
};
void register_thread()
{
	static thread_local Registration registration;
}

template <unsigned Size> class UrcuMap {
	using Key = KeyWords<Size>;
	struct Node {
		cds_lfht_node link;
		rcu_head head;
		Key key;
		uint64_t value;
	};
	static Node *node_of(cds_lfht_node *link)
	{
		return link ? caa_container_of(link, Node, link) : nullptr;
	}
	static int match(cds_lfht_node *link, const void *key)
	{
		return node_of(link)->key == *static_cast<const Key *>(key);
	}
	struct Reading {
		Reading() { urcu_memb_read_lock(); }
		~Reading() { urcu_memb_read_unlock(); }
	};

public:
	explicit UrcuMap(uint64_t flows)
	{
		register_thread();
		nb_buckets_ = std::bit_ceil(std::max<uint64_t>(flows, 64));
		// Not resizing: that takes threads of its own.
		table_ = cds_lfht_new_flavor(nb_buckets_, nb_buckets_, nb_buckets_, 0, &urcu_memb_flavor,
		                             nullptr);
		if (!table_)
			throw std::bad_alloc();
	}
	~UrcuMap()
	{
		register_thread();
		urcu_memb_barrier();
		{
			Reading reading;
			cds_lfht_iter it;
			cds_lfht_first(table_, &it);
			while (Node *node = node_of(cds_lfht_iter_get_node(&it))) {
				cds_lfht_next(table_, &it);
				if (cds_lfht_del(table_, &node->link) == 0)
					defer(node);
			}
		}
		urcu_memb_barrier();
		cds_lfht_destroy(table_, nullptr);
	}
	UrcuMap(const UrcuMap &) = delete;
	UrcuMap &operator=(const UrcuMap &) = delete;

	bool find(const Key &key, uint64_t &value)
	{
		register_thread();
		Reading reading;
		Node *node = lookup(key);
		if (!node)
			return false;
		value = __atomic_load_n(&node->value, __ATOMIC_ACQUIRE);
		return true;
	}
	bool store(const Key &key, uint64_t value)
	{
		register_thread();
		Reading reading;
		Node *node = lookup(key);
		if (!node) {
			auto *fresh = new Node{{}, {}, key, value};
			cds_lfht_node_init(&fresh->link);
			node = node_of(cds_lfht_add_unique(table_, hash(key), match, &key, &fresh->link));
			if (node == fresh) {
				size_.fetch_add(1, std::memory_order_relaxed);
				return true;
			}
			delete fresh;
		}
		__atomic_store_n(&node->value, value, __ATOMIC_RELEASE);
		return false;
	}
	bool erase(const Key &key)
	{
		register_thread();
		Reading reading;
		Node *node = lookup(key);
		if (!node || cds_lfht_del(table_, &node->link) != 0)
			return false;
		defer(node);
		size_.fetch_sub(1, std::memory_order_relaxed);
		return true;
	}
	uint64_t size() const { return size_.load(std::memory_order_relaxed); }
	size_t bytes() const
	{
		return nb_buckets_ * sizeof(cds_lfht_node) + size() * ((sizeof(Node) + 23) & ~size_t{15});
	}

private:
	static unsigned long hash(const Key &key) { return crc_hash(key) * 0x9e3779b97f4a7c15u; }
	Node *lookup(const Key &key)
	{
		cds_lfht_iter it;
		cds_lfht_lookup(table_, hash(key), match, &key, &it);
		return node_of(cds_lfht_iter_get_node(&it));
	}
	static void defer(Node *node)
	{
		urcu_memb_call_rcu(&node->head,
		                   [](rcu_head *head) { delete caa_container_of(head, Node, head); });
	}

	cds_lfht *table_ = nullptr;
	uint64_t nb_buckets_ = 0;
	std::atomic<uint64_t> size_ = 0;
};

} // namespace

std::unique_ptr<SharedTracker> make_urcu(const SharedOptions &options)
{
	return make_peer<UrcuMap>(options);
}

} // namespace reframer::conntrack
