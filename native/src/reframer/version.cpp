#include "reframer/reframer.h"

#ifndef REFRAMER_VERSION
#error "REFRAMER_VERSION comes from the build"
#endif

extern "C" const char *reframer_version(void)
{
	return REFRAMER_VERSION;
}
