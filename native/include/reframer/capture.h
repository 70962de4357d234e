/**
 * Captures in bursts, for language bindings: files, pipes and fed bytes in, packed columns out; keys
 * and hashes of whole bursts; packets back into a file.
 *
 * It lies in libreframer_capture.so, which needs libpcap, zlib, liblzma and libzstd; libreframer.so
 * needs none of them. pcap, pcapng and ERF are read, plain or compressed with gzip, xz or zstd.
 *
 * Memory: the caller owns the columns, and they may be garbage collected as soon as a call has
 * returned. Frames lie one behind the other in `bytes`: frame i is bytes[offsets[i]] up to
 * bytes[offsets[i + 1]].
 *
 * Threads: an object belongs to one thread at a time; reframer_capture_feed() and
 * reframer_capture_cancel() may be called while another thread reads. Errors: negative errno values;
 * reframer_capture_why() tells more. A null pointer where one is needed gives -EINVAL.
 */
#ifndef REFRAMER_CAPTURE_H
#define REFRAMER_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct reframer_capture;
struct reframer_capture_writer;

/** Columns of a burst. Times are nanoseconds since 1970, links are link types as files have them. */
struct reframer_capture_burst {
	uint8_t *bytes;
	/** One more than there are frames */
	uint32_t *offsets;
	/** Lengths on the wire */
	uint32_t *wire;
	uint64_t *time_ns;
	/** LINKTYPE_ number; upper bits state a frame check sequence, see pcap-linktype(7) */
	uint32_t *link;
	/** Room for bytes and for frames */
	uint32_t nb_bytes, nb_frames;
	/** Of each frame at most so many bytes are kept; 0: all */
	uint32_t snaplen;
	/** Out: frames; where -ENOBUFS came back, the bytes that the next one needs */
	uint32_t count, needed;
};

/** What went wrong, and where. */
struct reframer_capture_failure {
	/** "capture-open", "capture-format", "capture-unsupported", "capture-damaged", "capture-read",
	 * "capture-write"; empty: nothing */
	char code[32];
	/** In words, with the next step */
	char message[480];
	/** Byte of the (decompressed) file; -1 where there is none */
	int64_t offset;
};

/** What reframer_capture_keys() makes. */
enum reframer_capture_key {
	/** One key for both directions: the smaller (address, port) comes first */
	REFRAMER_CAPTURE_SYMMETRIC = 1u << 0,
	/** Of the innermost packet that can be read: inside VXLAN, Geneve, GRE, GTP-U, IP in IP */
	REFRAMER_CAPTURE_INNER = 1u << 1,
};

/**
 * Nothing is opened before the first read.
 * @param file "-" is standard input; NULL: bytes come by reframer_capture_feed().
 * @return 0, -EINVAL, -ENOMEM.
 */
int reframer_capture_create(const char *file, struct reframer_capture **out);
/** No other thread may be reading: cancel first. NULL is harmless. */
void reframer_capture_free(struct reframer_capture *c);
/**
 * Appends bytes of a capture that is fed; `nb` 0 is its end. Where `bytes` is NULL it only tells.
 * @return bytes that wait to be read; -EINVAL for a capture that is not fed.
 */
int64_t reframer_capture_feed(struct reframer_capture *c, const void *bytes, uint32_t nb);
/** Ends a read that waits for bytes, and every later one: they return -ECANCELED. */
void reframer_capture_cancel(struct reframer_capture *c);
/**
 * Fills the columns. Waits for bytes of a pipe or a feed, but not while it has frames to give.
 * Frames before a damaged place come first, then -EIO, once and again.
 * @return frames, 0 at the end, -ENOBUFS (the next frame alone is larger: nothing was read), -EIO,
 * -ECANCELED, -EINVAL.
 */
int reframer_capture_read(struct reframer_capture *c, struct reframer_capture_burst *burst);
/** Why the last call on this capture returned -EIO. */
void reframer_capture_why(const struct reframer_capture *c, struct reframer_capture_failure *out);
/** "pcap", "pcapng", "erf"; empty before the first read. */
const char *reframer_capture_format(const struct reframer_capture *c);
/** "none", "gzip", "xz", "zstd"; empty before the first read. */
const char *reframer_capture_compression(const struct reframer_capture *c);
/** "major.minor.patch" of this library. */
const char *reframer_capture_version(void);
/** Can reading wait for somebody (a pipe, a terminal, a feed)? */
int reframer_capture_waits(const struct reframer_capture *c);

/**
 * Keys for conntrack.h of frames `first` up to `first` + `count`, one each: addresses, ports and
 * protocol. What has no such key (no IP; IPv6 where keys have 16 bytes) gets zeros; a fragment behind
 * the first has ports 0.
 * @param key_size 16 or 40. @param flags bits of enum reframer_capture_key.
 * @return frames with a key; -EINVAL.
 */
int reframer_capture_keys(const struct reframer_capture_burst *burst, uint32_t first,
                          uint32_t count, uint32_t key_size, uint32_t flags, void *keys);
/**
 * Hashes of the same frames by which Reframer would group them: equal flows have equal ones.
 * @param kind enum reframer_key. @param seed the key of the hash.
 * @return 0 or -EINVAL.
 */
int reframer_capture_hashes(const struct reframer_capture_burst *burst, uint32_t first,
                            uint32_t count, uint32_t kind, uint64_t seed, uint32_t *hashes);

/**
 * pcap with nanoseconds; pcapng from the first frame on that pcap cannot hold. A regular file takes
 * its name in reframer_capture_finish().
 * @param failure may be NULL. @return 0, -EIO, -EINVAL, -ENOMEM.
 */
int reframer_capture_write_create(const char *file, struct reframer_capture_writer **out,
                                  struct reframer_capture_failure *failure);
/** Appends frames `first` up to `first` + `count` of a burst. @return 0, -EIO, -EINVAL. */
int reframer_capture_write(struct reframer_capture_writer *w,
                           const struct reframer_capture_burst *burst, uint32_t first,
                           uint32_t count, struct reframer_capture_failure *failure);
/** Writes what is left and gives the file its name. @return 0, -EIO, -EINVAL. */
int reframer_capture_finish(struct reframer_capture_writer *w,
                            struct reframer_capture_failure *failure);
/** Also removes what was not finished. NULL is harmless. */
void reframer_capture_write_free(struct reframer_capture_writer *w);

#ifdef __cplusplus
}
#endif
#endif
