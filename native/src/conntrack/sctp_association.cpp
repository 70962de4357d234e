#include "conntrack/sctp_association.hpp"

#include "packet/bytes.hpp"

namespace reframer::conntrack {

namespace {

constexpr uint32_t common_header = 12, chunk_header = 4;
constexpr uint8_t data = 0, init = 1, init_ack = 2, heartbeat = 4, heartbeat_ack = 5, abort = 6,
				  shutdown = 7, shutdown_ack = 8, error = 9, cookie_echo = 10, cookie_ack = 11,
				  shutdown_complete = 14;
constexpr uint8_t without_tag = 1; // the T bit: the sender had none, the tag is the other side's

// Characters of the tables below are states: - closed  W cookie_wait  H cookie_echoed  E established
// S shutdown_sent  R shutdown_received  A shutdown_ack_sent  B heartbeat_sent  . invalid
constexpr char letters[] = "0-WHESRAB";
struct Row {
	uint8_t chunk;
	char original[nb_sctp_states + 1], reply[nb_sctp_states + 1];
};
// Columns in the order of SctpState. Source: what Linux 6.18 does.
constexpr Row rows[] = {
	{init, "--WHE--AW", ".-WHESRA."},
	{init_ack, ".-WHESRA-", ".WWHESRA."},
	{abort, ".--------", ".-------."},
	{shutdown, ".-WHSSRA-", ".-WHRSRA."},
	{shutdown_ack, "A-WHEAAAA", ".-WHEAAA."},
	{error, ".-WHESRA-", ".-W-ESRA."},
	{cookie_echo, ".-HHESRA-", ".-HHESRA."},
	{cookie_ack, ".-WEESRA-", ".-WEESRA."},
	{shutdown_complete, ".-WHESR--", ".-WHESR-."},
	{heartbeat, "B-WHESRAB", ".-WHESRAB"},
	{heartbeat_ack, "--WHESRAB", ".-WHESRAE"},
};

// False: invalid. Other chunks, such as DATA and SACK, leave the state as it is.
bool step(SctpState &state, uint8_t chunk, bool reply)
{
	for (const Row &row : rows) {
		if (row.chunk != chunk)
			continue;
		const char next = (reply ? row.reply : row.original)[static_cast<unsigned>(state)];
		for (unsigned i = 0; i < nb_sctp_states; i++)
			if (letters[i] == next) {
				state = static_cast<SctpState>(i);
				return true;
			}
		return false;
	}
	return true;
}

uint32_t timeout_seconds(SctpState state)
{
	constexpr uint32_t seconds[nb_sctp_states] = {0, 10, 3, 3, sctp_timeout_seconds, 3, 3, 3, 30};
	return seconds[static_cast<unsigned>(state)];
}

// Calls `each(chunk, end)` until it says false. @return whether it never did
template <typename Each> bool for_each_chunk(const uint8_t *packet, uint32_t captured, Each each)
{
	for (uint64_t at = common_header; at + chunk_header <= captured;) {
		const uint8_t *chunk = packet + at;
		const uint32_t length = packet::be16(chunk + 2);
		if (!each(chunk, packet + captured) || length == 0)
			return false;
		at += (length + 3) & ~3u;
	}
	return true;
}

} // namespace

bool SctpAssociation::begin(const uint8_t *packet, uint32_t captured)
{
	const uint32_t tag = packet::be32(packet + 4);
	SctpState next = SctpState::none;
	return for_each_chunk(packet, captured, [&](const uint8_t *chunk, const uint8_t *end) {
		next = SctpState::none;
		if (!step(next, chunk[0], false) || next == SctpState::none)
			return false;
		if (chunk[0] == heartbeat)
			tags_[0] = tag;
		else if (chunk[0] != init)
			tags_[1] = tag;
		return chunk[0] != init || (tag == 0 && end - chunk >= 8);
	});
}

// RFC 9260, 8.5.1: chunks that may have another tag.
bool SctpAssociation::is_tagged(const uint8_t *chunk, uint32_t tag, bool reply, bool with_data,
                                bool &doubtful)
{
	uint32_t &own = tags_[reply], &other = tags_[!reply];
	switch (chunk[0]) {
	case init:
		return tag == 0;
	case abort:
	case shutdown_complete:
		return tag == (chunk[1] & without_tag ? other : own);
	case cookie_echo:
		return tag == own;
	case heartbeat:
		if (own == 0) {
			own = tag;
		} else if (tag == own) {
			heartbeat_failed_ = false;
		} else {
			if (with_data || doubtful)
				return false;
			heartbeat_failed_ = true;
			last_reply_ = reply;
			doubtful = true;
		}
		return true;
	case heartbeat_ack:
		if (own == 0) {
			own = tag;
		} else if (tag != own) {
			if (with_data || doubtful || !heartbeat_failed_ || last_reply_ == reply)
				return false;
			heartbeat_failed_ = false;
			own = tag;
			other = 0;
		}
		return true;
	default:
		return true;
	}
}

// INIT and INIT ACK say which tag the other side is to send.
bool SctpAssociation::note_tag(const uint8_t *chunk, const uint8_t *end, bool reply)
{
	if (chunk[0] != init && chunk[0] != init_ack)
		return true;
	if (end - chunk < 8)
		return false;
	const uint32_t tag = packet::be32(chunk + 4);
	uint32_t &known = tags_[!reply];
	if (chunk[0] == init) {
		if (initiated_[reply] && initiated_[!reply])
			initiated_[!reply] = false;
		initiated_[reply] = true;
	} else {
		const bool asked = initiated_[!reply];
		if ((!asked && known != 0 && known != tag) || (asked && initiated_[reply] && known != tag))
			return false;
	}
	known = tag;
	return true;
}

uint32_t SctpAssociation::add(const uint8_t *packet, uint32_t captured, bool reply)
{
	if (captured < common_header + chunk_header)
		return 0;
	// Chunks that stand alone, or first; which of them excuse another tag.
	uint32_t nb = 0;
	bool alone = false, sound = true, excused = false, with_data = false;
	const bool whole = for_each_chunk(packet, captured, [&](const uint8_t *chunk, const uint8_t *) {
		const uint8_t type = chunk[0];
		alone |= type == init || type == init_ack || type == shutdown_complete;
		sound &= !((type == cookie_ack || type == cookie_echo) && nb > 0) && !(alone && nb > 0);
		excused |= type == init || type == shutdown_complete || type == cookie_echo ||
		           type == abort || type == shutdown_ack || type == heartbeat ||
		           type == heartbeat_ack;
		with_data |= type == data;
		nb++;
		return true;
	});
	if (!whole || !sound)
		return 0;
	if (state_ == SctpState::none && !begin(packet, captured))
		return 0;
	const uint32_t tag = packet::be32(packet + 4);
	if (!excused && tag != tags_[reply])
		return 0;
	bool doubtful = false;
	const bool fits =
		for_each_chunk(packet, captured, [&](const uint8_t *chunk, const uint8_t *end) {
			const bool was_doubtful = doubtful;
			if (!is_tagged(chunk, tag, reply, with_data, doubtful))
				return false;
			if (doubtful && !was_doubtful)
				return true; // the heartbeat's answer will tell
			SctpState next = state_;
			if (!step(next, chunk[0], reply) || !note_tag(chunk, end, reply))
				return false;
			state_ = next;
			return true;
		});
	return fits ? timeout_seconds(state_) : 0;
}

} // namespace reframer::conntrack
