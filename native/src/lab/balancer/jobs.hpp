// The balancer's jobs.
#pragma once

#include "jobs/job.hpp"

namespace reframer::lab {

void run_balancer_cost(const Json &spec);
void run_balancer_changes(const Json &spec);
void run_balancer_policies(const Json &spec);
void run_balancer_cores(const Json &spec);
void run_balance_servers(const Json &spec);
void run_drop_frames(const Json &spec);

} // namespace reframer::lab
