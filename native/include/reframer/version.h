/**
 * Version of these headers. reframer_version() tells that of the library that a program runs with;
 * the two may differ. Structs that grow do so at their end, and functions learn from the caller's
 * sizeof what it was compiled with: a program built against older headers of the same major version
 * runs with a newer library. A newer program runs with an older library as long as it sets nothing
 * that is new.
 */
#ifndef REFRAMER_VERSION_H
#define REFRAMER_VERSION_H

#define REFRAMER_VERSION_MAJOR 0
#define REFRAMER_VERSION_MINOR 1
#define REFRAMER_VERSION_PATCH 0

/** Nonzero if the headers are of this version or a later one. */
#define REFRAMER_VERSION_AT_LEAST(major, minor, patch)                                             \
	((REFRAMER_VERSION_MAJOR) > (major) ||                                                         \
	 ((REFRAMER_VERSION_MAJOR) == (major) &&                                                       \
	  ((REFRAMER_VERSION_MINOR) > (minor) ||                                                       \
	   ((REFRAMER_VERSION_MINOR) == (minor) && (REFRAMER_VERSION_PATCH) >= (patch)))))

#endif
