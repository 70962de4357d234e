#include "dpdk/eal.hpp"

#include "jobs/job.hpp"

#include <rte_eal.h>
#include <rte_errno.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace reframer::dpdk {

namespace {

bool has_mounted_hugepages()
{
	std::ifstream mounts("/proc/mounts");
	std::string device, place, type, rest;
	while (mounts >> device >> place >> type && std::getline(mounts, rest))
		if (type == "hugetlbfs")
			return true;
	return false;
}

// EAL's own reason for hugepages that nobody mounted is "Permission denied".
std::string why_not(int error, const std::vector<std::string> &wanted)
{
	const auto given = [&](const char *word) {
		return std::find(wanted.begin(), wanted.end(), word) != wanted.end();
	};
	if (!given("--no-huge") && !given("--in-memory") && !has_mounted_hugepages())
		return "no hugetlbfs is mounted, from which it takes hugepages; as root: mkdir -p "
			   "/dev/hugepages && mount -t hugetlbfs none /dev/hugepages";
	std::string words;
	for (const std::string &word : wanted)
		words += " " + word;
	return std::string(rte_strerror(error)) + "; its options, of which --eal gives some, were" +
	       words;
}

} // namespace

void start_eal(const std::vector<std::string> &wanted)
{
	std::vector<std::string> args = {"reframer-dpdk"};
	args.insert(args.end(), wanted.begin(), wanted.end());
	const bool pci = std::any_of(wanted.begin(), wanted.end(), [](const std::string &a) {
		return a.rfind("-a", 0) == 0 || a.rfind("--allow", 0) == 0 || a == "--no-pci";
	});
	if (!pci)
		args.push_back("--no-pci");
	std::vector<char *> argv;
	for (std::string &a : args)
		argv.push_back(a.data());
	// Threads inherit this from who starts them, and EAL starts the first ones.
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	// At a bad option EAL prints its usage on stdout, where records belong.
	const int saved = dup(STDOUT_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	const int result = rte_eal_init(int(argv.size()), argv.data());
	std::fflush(stdout); // while it still goes there
	dup2(saved, STDOUT_FILENO);
	close(saved);
	if (result < 0)
		throw lab::JobError("not-supported",
		                    "DPDK's EAL does not come up: " + why_not(rte_errno, wanted), 3);
}

std::optional<NewUser> drop_root(const std::string &user)
{
	if (geteuid() != 0)
		return std::nullopt;
	errno = 0;
	const passwd *entry = getpwnam(user.c_str());
	if (!entry)
		throw lab::JobError("bad-spec",
		                    "there is no user '" + user +
		                        "' to run as; --user names one, root to stay what it is",
		                    2);
	const uid_t uid = entry->pw_uid;
	const gid_t gid = entry->pw_gid;
	if (uid == 0)
		return std::nullopt;
	// EAL takes its socket away at the end. If it cannot, the next start does.
	if (chown(rte_eal_get_runtime_dir(), uid, gid) != 0)
		errno = 0;
	// Groups first: afterwards it may not. glibc makes each of these calls for all threads.
	if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0 || setuid(0) == 0)
		throw lab::JobError("not-supported",
		                    "cannot become user '" + user + "': " + std::strerror(errno) +
		                        "; --user root stays root",
		                    3);
	return NewUser{uid, gid};
}

} // namespace reframer::dpdk
