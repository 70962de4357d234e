#include "nf/dpi.hpp"

#include <hs/hs.h>

#include <iterator>
#include <new>
#include <stdexcept>
#include <string>

namespace reframer::nf {

namespace {

// What an intrusion detector looks for in clear text, of three kinds: literals, literals that begin
// with something frequent, and expressions.
constexpr const char *expressions[] = {
	"/etc/passwd",
	"/etc/shadow",
	"/proc/self/environ",
	"cmd\\.exe",
	"powershell\\.exe",
	"/bin/sh",
	"wget http",
	"curl -s",
	"chmod 777",
	"base64 -d",
	"eval\\(",
	"document\\.cookie",
	"<script>",
	"onerror=",
	"javascript:",
	"union select",
	"or 1=1",
	"information_schema",
	"xp_cmdshell",
	"sleep\\([0-9]+\\)",
	"benchmark\\([0-9]+",
	"\\.\\./\\.\\./\\.\\./",
	"%2e%2e%2f",
	"%00",
	"php://input",
	"data://text",
	"expect://",
	"file:///",
	"gopher://",
	"phpinfo\\(\\)",
	"wp-login\\.php",
	"xmlrpc\\.php",
	"/cgi-bin/",
	"/actuator/",
	"/manager/html",
	"/solr/admin",
	"jndi:(ldap|rmi|dns)",
	"\\$\\{env:",
	"sqlmap/[0-9]",
	"nikto/[0-9]",
	"masscan/[0-9]",
	"User-Agent: [a-z]{1,8}bot",
	"X-Forwarded-For: 127\\.",
	"Authorization: Basic [A-Za-z0-9+/]{8,}",
	"BEGIN RSA PRIVATE KEY",
	"AKIA[0-9A-Z]{16}",
	"\\x90{16}",
	"\\x41{64}",
	"MZ.{60}This program",
	"PK\\x03\\x04.{26}\\.exe",
	"\\x7fELF",
	"BitTorrent protocol",
	"d1:ad2:id20:",
	"SSH-[12]\\.[0-9]",
	"EHLO ",
	"RCPT TO:",
	"NICK [a-z]+\\r\\n",
	"JOIN #",
	"stratum\\+tcp",
	"mining\\.subscribe",
	"coinhive",
	"HELO localhost",
	"anonymous@",
	"SMBr",
	"\\xffSMB",
	"NTLMSSP",
	"administrator:500:",
};

int note(unsigned int, unsigned long long, unsigned long long end, unsigned int, void *matches)
{
	auto &m = *static_cast<PatternScanner::Matches *>(matches);
	m.count++;
	m.first_end = std::min<uint64_t>(m.first_end, end);
	return 0;
}

} // namespace

struct Patterns::Compiled {
	hs_database_t *database = nullptr;
	~Compiled() { hs_free_database(database); }
};

Patterns::Patterns() : compiled_(new Compiled)
{
	constexpr unsigned n = std::size(expressions);
	unsigned flags[n], ids[n];
	for (unsigned i = 0; i < n; i++) {
		flags[i] = HS_FLAG_CASELESS | HS_FLAG_DOTALL;
		ids[i] = i;
	}
	hs_compile_error_t *error = nullptr;
	if (hs_compile_multi(expressions, flags, ids, n, HS_MODE_STREAM, nullptr, &compiled_->database,
	                     &error) != HS_SUCCESS) {
		std::string what = std::string("patterns: ") + error->message;
		hs_free_compile_error(error);
		throw std::runtime_error(what);
	}
}

Patterns::~Patterns() = default;

struct PatternScanner::Streams {
	hs_scratch_t *scratch = nullptr;
	std::vector<hs_stream_t *> all;
	~Streams()
	{
		for (hs_stream_t *s : all)
			hs_close_stream(s, nullptr, nullptr, nullptr);
		hs_free_scratch(scratch);
	}
};

PatternScanner::PatternScanner(std::shared_ptr<const Patterns> patterns, uint32_t nb_streams)
	: patterns_(std::move(patterns)), streams_(new Streams), nb_streams_(nb_streams)
{
	const hs_database_t *database = patterns_->compiled_->database;
	if (hs_alloc_scratch(database, &streams_->scratch) != HS_SUCCESS)
		throw std::bad_alloc();
	streams_->all.reserve(nb_streams);
	for (uint32_t i = 0; i < nb_streams; i++) {
		hs_stream_t *stream;
		if (hs_open_stream(database, 0, &stream) != HS_SUCCESS)
			throw std::bad_alloc();
		streams_->all.push_back(stream);
	}
}

PatternScanner::PatternScanner(PatternScanner &&) noexcept = default;
PatternScanner::~PatternScanner() = default;

void PatternScanner::restart(uint32_t stream)
{
	hs_reset_stream(streams_->all[stream], 0, nullptr, nullptr, nullptr);
}

PatternScanner::Matches PatternScanner::scan(uint32_t stream, const uint8_t *data, uint32_t size)
{
	Matches found;
	hs_scan_stream(streams_->all[stream], reinterpret_cast<const char *>(data), size, 0,
	               streams_->scratch, note, &found);
	return found;
}

} // namespace reframer::nf
