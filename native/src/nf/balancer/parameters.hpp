// What a balancer may be made of.
#pragma once

#include "api/why.hpp"
#include "reframer/balancer.h"

namespace reframer::balance {

balancer_params default_params();
balancer_server default_server();
// `full` gets the parameters with defaults for what the caller's header does not know, and a key.
bool read_params(const balancer_params *given, balancer_params &full, api::Why &why);
balancer_quic default_quic();
bool read_quic_config(const balancer_quic *given, balancer_quic &full);
bool read_server(const balancer_server *given, balancer_server &full);

} // namespace reframer::balance
