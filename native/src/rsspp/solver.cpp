// C entry of the solver: checks the problem, runs the method, reports.
#include "api/sized.hpp"
#include "rsspp/problem.hpp"

#include <cerrno>
#include <new>

using namespace reframer::rsspp;

struct rsspp_solver {
	Workspace workspace;
};

extern "C" int rsspp_solver_create(uint32_t max_buckets, uint32_t max_cores, rsspp_solver **out)
{
	if (!out || max_buckets == 0 || max_buckets > RSSPP_MAX_BUCKETS || max_cores == 0 ||
	    max_cores > RSSPP_MAX_CORES)
		return -EINVAL;
	try {
		*out = new rsspp_solver{Workspace(max_buckets, max_cores)};
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return 0;
}

extern "C" void rsspp_solver_free(rsspp_solver *solver)
{
	delete solver;
}

namespace {

int solve(Workspace &w, rsspp_method method, rsspp_solution &solution)
{
	try {
		switch (method) {
		case RSSPP_STATIC:
			place_orphans(w);
			break;
		case RSSPP_GREEDY:
			solution.passes = solve_greedy(w);
			break;
		case RSSPP_OURS:
			solution.passes = solve_ours(w, solution.nb_elephants);
			break;
		case RSSPP_LPT:
			solution.passes = solve_lpt(w);
			break;
		case RSSPP_EXACT:
			if (!solve_exact(w, solution.passes))
				return -E2BIG;
			break;
		default:
			return -EINVAL;
		}
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return 0;
}

} // namespace

extern "C" int rsspp_solve_sized(rsspp_solver *solver, rsspp_method method,
                                 const rsspp_problem *given, size_t problem_size,
                                 uint16_t *new_owner, rsspp_solution *out, size_t solution_size)
{
	rsspp_problem problem = {};
	if (!solver || !given || !new_owner || !out ||
	    !reframer::api::read_sized(given, problem_size, problem) || !problem.bucket_load ||
	    !problem.owner)
		return -EINVAL;
	Workspace &w = solver->workspace;
	if (!w.load(problem))
		return -EINVAL;
	rsspp_solution solution = {};
	const int error = solve(w, method, solution);
	if (error == 0) {
		w.finish(solution);
		w.store(new_owner);
	}
	w.problem = nullptr; // the caller's arrays
	reframer::api::write_sized(out, solution_size, solution);
	return error;
}
