#include "packet/cases.hpp"

namespace reframer::test {

using packet::LinkType;

namespace {

const std::string v4_tcp = "tcp 10.0.0.1:1000 > 10.0.0.2:80";
const std::string v4_udp = "udp 10.0.0.1:1000 > 10.0.0.2:2000";
const std::string v6_tcp = "tcp [2001:db8::1]:1000 > [2001:db8::2]:80";
const std::string v6_udp = "udp [2001:db8::1]:1000 > [2001:db8::2]:2000";
const std::string inside = "tcp 192.168.0.1:1000 > 192.168.0.2:80";
const std::string inside6 = "tcp [fd00::1]:1000 > [fd00::2]:80";

const Ip private_ip = {.source = "192.168.0.1", .destination = "192.168.0.2"};
const Ip6 private_ip6 = {.source = "fd00::1", .destination = "fd00::2"};

Bytes eth4(const Ip &ip, const Segment &s)
{
	return ethernet(type_ipv4, ipv4(ip, s));
}
Bytes eth6(const Segment &s)
{
	return ethernet(type_ipv6, ipv6({}, s));
}

void add_links(std::vector<Case> &cases)
{
	const Bytes v4 = ipv4({}, tcp()), v6 = ipv6({}, tcp());
	const auto add = [&](const char *name, LinkType link, Bytes frame, const std::string &key) {
		cases.push_back({name, link, std::move(frame), key, ""});
	};
	const LinkType eth = LinkType::ethernet;
	add("ethernet v4", eth, ethernet(type_ipv4, v4), v4_tcp);
	add("ethernet v6", eth, ethernet(type_ipv6, v6), v6_tcp);
	add("one tag", eth, ethernet(type_vlan, vlan(7, type_ipv4, v4)), v4_tcp);
	add("802.1ad", eth, ethernet(type_service_vlan, vlan(7, type_vlan, vlan(8, type_ipv4, v4))),
	    v4_tcp);
	add("802.1ad v6", eth, ethernet(type_service_vlan, vlan(7, type_vlan, vlan(8, type_ipv6, v6))),
	    v6_tcp);
	add("old QinQ", eth, ethernet(0x9100, vlan(7, type_vlan, vlan(8, type_ipv4, v4))), v4_tcp);
	add("three tags", eth,
	    ethernet(type_vlan, vlan(1, type_vlan, vlan(2, type_vlan, vlan(3, type_ipv4, v4)))),
	    v4_tcp);
	add("MPLS", eth, ethernet(type_mpls, mpls(16, true, v4)), v4_tcp);
	add("MPLS stack v6", eth, ethernet(type_mpls, mpls(16, false, mpls(17, true, v6))), v6_tcp);
	add("tag and MPLS", eth, ethernet(type_vlan, vlan(5, type_mpls, mpls(16, true, v4))), v4_tcp);
	add("MPLS pseudowire", eth, ethernet(type_mpls, mpls(16, true, Bytes(40, 0))), "mpls 16");
	add("MPLS pseudowire, two labels", eth,
	    ethernet(type_mpls, mpls(16, false, mpls(1000, true, Bytes(40, 0)))), "mpls 16 1000");
	add("PPPoE", eth, ethernet(type_pppoe, pppoe(ppp(0x0021, v4))), v4_tcp);
	add("PPPoE v6", eth, ethernet(type_pppoe, pppoe(ppp(0x0057, v6))), v6_tcp);
	add("PPPoE in QinQ", eth,
	    ethernet(type_service_vlan,
	             vlan(7, type_vlan, vlan(8, type_pppoe, pppoe(ppp(0x0021, v4))))),
	    v4_tcp);
	add("PPPoE LCP", eth, ethernet(type_pppoe, pppoe(ppp(0xc021, Bytes(8, 1)))),
	    "type 0x8864 02:00:00:00:00:01 > 02:00:00:00:00:02");
	add("LLC SNAP", eth, ethernet(static_cast<uint16_t>(8 + v4.size()), llc_snap(type_ipv4, v4)),
	    v4_tcp);
	add("LLC IP", eth, ethernet(static_cast<uint16_t>(3 + v4.size()), join({{6, 6, 3}, v4})),
	    v4_tcp);
	add("spanning tree", eth, ethernet(38, join({{0x42, 0x42, 3}, Bytes(35, 0)})),
	    "type 0x26 02:00:00:00:00:01 > 02:00:00:00:00:02");
	add("ARP", eth, ethernet(type_arp, Bytes(46, 1)),
	    "type 0x806 02:00:00:00:00:01 > 02:00:00:00:00:02");
	add("null, little-endian", LinkType::null_loopback, join({{2, 0, 0, 0}, v4}), v4_tcp);
	add("null, big-endian", LinkType::null_loopback, join({{0, 0, 0, 30}, v6}), v6_tcp);
	add("loop", LinkType::loop, join({{0, 0, 0, 24}, v6}), v6_tcp);
	add("FDDI", LinkType::fddi, join({{0x50}, Bytes(12, 2), llc_snap(type_ipv4, v4)}), v4_tcp);
	add("FDDI token", LinkType::fddi, join({{0x80}, Bytes(40, 2)}), "unparsed");
	add("PPP", LinkType::ppp, join({{0xff, 3}, ppp(0x0021, v4)}), v4_tcp);
	add("PPP, no address", LinkType::ppp, ppp(0x0057, v6), v6_tcp);
	add("PPP, short protocol", LinkType::ppp, join({{0x21}, v4}), v4_tcp);
	add("PPP MPLS", LinkType::ppp, join({{0xff, 3}, ppp(0x0281, mpls(3, true, v4))}), v4_tcp);
	add("PPP in HDLC", LinkType::ppp_hdlc, join({{0xff, 3}, ppp(0x0021, v4)}), v4_tcp);
	add("Cisco in PPP HDLC", LinkType::ppp_hdlc, join({{0x0f, 0, 8, 0}, v4}), v4_tcp);
	add("PPPoE link", LinkType::pppoe, pppoe(ppp(0x0021, v4)), v4_tcp);
	add("Cisco HDLC", LinkType::chdlc, join({{0x0f, 0, 0x86, 0xdd}, v6}), v6_tcp);
	add("raw v4", LinkType::raw_ip, v4, v4_tcp);
	add("raw v6", LinkType::raw_ip, v6, v6_tcp);
	add("IPV4", LinkType::ipv4, v4, v4_tcp);
	add("IPV6", LinkType::ipv6, v6, v6_tcp);
	add("IPV6 that is v4", LinkType::ipv6, v4, "unparsed");
	add("cooked", LinkType::linux_sll, join({Bytes(14, 0), {8, 0}, v4}), v4_tcp);
	add("cooked v2", LinkType::linux_sll2, join({{0x86, 0xdd}, Bytes(18, 0), v6}), v6_tcp);
	add("unknown link", static_cast<LinkType>(147), v4, "unparsed");
}

void add_ip(std::vector<Case> &cases)
{
	const auto add = [&](const char *name, Bytes frame, const std::string &key) {
		cases.push_back({name, LinkType::ethernet, std::move(frame), key, ""});
	};
	add("TCP payload", eth4({}, tcp({.payload = Bytes(100, 1)})), v4_tcp);
	add("TCP options", eth4({}, tcp({.flags = 2, .options = Bytes(20, 1)})), v4_tcp);
	add("TCP header too short", eth4({}, tcp({.header_words = 2})), v4_tcp);
	add("UDP", eth4({}, udp()), v4_udp);
	add("UDP, padded frame", join({eth4({}, udp()), Bytes(18, 0)}), v4_udp);
	add("UDP payload", eth4({}, udp({.payload = Bytes(64, 1)})), v4_udp);
	add("DNS", eth4({}, udp({.destination = 53, .payload = Bytes(30, 1)})),
	    "udp 10.0.0.1:1000 > 10.0.0.2:53");
	add("IPv4 options", eth4({.options = Bytes(8, 1)}, tcp()), v4_tcp);
	add("IPv4 most options", eth4({.options = Bytes(40, 1)}, udp()), v4_udp);
	add("IPv4 length 0", eth4({.length = 0}, tcp({.payload = Bytes(100, 1)})), v4_tcp);
	add("IPv4 length below the header", eth4({.length = 12}, tcp()), "tcp 10.0.0.1 > 10.0.0.2");
	add("IPv4 length hides the ports", join({eth4({.length = 22}, tcp())}),
	    "tcp 10.0.0.1 > 10.0.0.2");
	add("IPv4 length beyond the frame", eth4({.length = 9000}, tcp()), v4_tcp);
	add("first fragment", eth4({.id = 77, .more_fragments = true}, udp({.payload = Bytes(32, 1)})),
	    "udp 10.0.0.1:1000 > 10.0.0.2:2000");
	add("later fragment", eth4({.id = 77, .fragment_offset = 40}, segment(17, Bytes(32, 1))),
	    "udp fragment 0x4d 10.0.0.1 > 10.0.0.2");
	add("TCP fragment", eth4({.id = 78, .more_fragments = true}, tcp({.payload = Bytes(32, 1)})),
	    "tcp 10.0.0.1:1000 > 10.0.0.2:80");
	add("SCTP", eth4({}, sctp(5000, 5001)), "sctp 10.0.0.1:5000 > 10.0.0.2:5001");
	add("DCCP", eth4({}, segment(33, join({be16_bytes(5), be16_bytes(6), Bytes(12, 0)}))),
	    "dccp 10.0.0.1:5 > 10.0.0.2:6");
	add("UDP-Lite", eth4({}, segment(136, udp().bytes)), "udplite 10.0.0.1:1000 > 10.0.0.2:2000");
	add("ICMP echo", eth4({}, icmp(8, Bytes(60, 1))), "icmp 10.0.0.1 > 10.0.0.2");
	add("ICMP error", eth4({}, icmp(3, join({Bytes(4, 0), ipv4({}, udp())}))),
	    "icmp 10.0.0.1 > 10.0.0.2");
	add("ESP", eth4({}, esp(0x1234)), "esp spi 0x1234 10.0.0.1 > 10.0.0.2");
	add("AH", eth4({}, ah(0x1234, tcp())), "ah spi 0x1234 10.0.0.1 > 10.0.0.2");
	add("OSPF", eth4({}, segment(89, Bytes(24, 1))), "proto 89 10.0.0.1 > 10.0.0.2");
	add("v6 UDP", eth6(udp()), v6_udp);
	add("v6 hop-by-hop", eth6(extension(0, tcp())), v6_tcp);
	add("v6 many extensions",
	    eth6(extension(0, extension(60, extension(43, extension(60, extension(135, tcp()), 2), 1)),
	                   3)),
	    v6_tcp);
	add("v6 host identity, shim6", eth6(extension(139, extension(140, udp()))), v6_udp);
	add("v6 atomic fragment", eth6(fragment6(9, 0, false, tcp())), v6_tcp);
	add("v6 first fragment", eth6(extension(0, fragment6(9, 0, true, extension(60, udp())))),
	    "udp [2001:db8::1]:1000 > [2001:db8::2]:2000");
	add("v6 later fragment", eth6(extension(0, fragment6(9, 48, false, segment(60, Bytes(32, 1))))),
	    "ipv6 fragment 0x9 2001:db8::1 > 2001:db8::2");
	add("v6 ESP", eth6(extension(60, esp(0x99))), "esp spi 0x99 2001:db8::1 > 2001:db8::2");
	add("v6 AH in the chain", eth6(extension(0, ah(0x99, extension(60, tcp())))),
	    "ah spi 0x99 2001:db8::1 > 2001:db8::2");
	add("v6 no next header", eth6(segment(59, {})), "proto 59 2001:db8::1 > 2001:db8::2");
	add("v6 jumbogram",
	    ethernet(type_ipv6, ipv6({.length = 0}, extension(0, tcp({.payload = Bytes(200, 1)})))),
	    v6_tcp);
	add("v6 TCP length 0", ethernet(type_ipv6, ipv6({.length = 0}, tcp({.payload = Bytes(50, 1)}))),
	    v6_tcp);
	add("v6 UDP length 0", ethernet(type_ipv6, ipv6({.length = 0}, udp())),
	    "udp 2001:db8::1 > 2001:db8::2");
	add("v6 length beyond the frame", ethernet(type_ipv6, ipv6({.length = 9000}, udp())), v6_udp);
	add("v6 length hides the ports", ethernet(type_ipv6, ipv6({.length = 3}, udp())),
	    "udp 2001:db8::1 > 2001:db8::2");

	Bytes bad = eth4({}, tcp());
	bad[14] = 0x44;
	add("IPv4 header of 16 bytes", bad, "type 0x800 02:00:00:00:00:01 > 02:00:00:00:00:02");
	bad[14] = 0x65;
	add("EtherType v4, nibble 6", bad, "type 0x800 02:00:00:00:00:01 > 02:00:00:00:00:02");
	Segment deep = tcp();
	for (int i = 0; i < 40; i++)
		deep = extension(60, deep);
	// The walk stops before its seventeenth header.
	add("v6 endless chain", eth6(deep), "proto 60 2001:db8::1 > 2001:db8::2");
}

void add_tunnels(std::vector<Case> &cases)
{
	const auto add = [&](const char *name, Bytes frame, const std::string &outer,
	                     const std::string &inner) {
		cases.push_back({name, LinkType::ethernet, std::move(frame), outer, inner});
	};
	const Bytes v4 = ipv4(private_ip, tcp()), v6 = ipv6(private_ip6, tcp());
	const Bytes frame4 = ethernet(type_ipv4, v4);
	const Bytes frame6 = ethernet(type_vlan, vlan(3, type_ipv6, v6));
	const std::string vxlan_key = "udp 10.0.0.1:50000 > 10.0.0.2:4789";
	const std::string geneve_key = "udp 10.0.0.1:50001 > 10.0.0.2:6081";
	const std::string gtp_key = "udp 10.0.0.1:2152 > 10.0.0.2:2152";
	const std::string gre_key = "gre 10.0.0.1 > 10.0.0.2";

	add("VXLAN", eth4({}, vxlan(5, frame4)), vxlan_key, inside);
	add("VXLAN v6 in v6", eth6(vxlan(5, frame6)), "udp [2001:db8::1]:50000 > [2001:db8::2]:4789",
	    inside6);
	add("VXLAN of ARP", eth4({}, vxlan(5, ethernet(type_arp, Bytes(46, 0)))), vxlan_key, "");
	Bytes no_flag = eth4({}, vxlan(5, frame4));
	no_flag[14 + 20 + 8] = 0;
	add("VXLAN without its flag", no_flag, vxlan_key, "");
	add("VXLAN on the port of Linux",
	    eth4({}, udp({.source = 50000,
	                  .destination = 8472,
	                  .payload = join({{8, 0, 0, 0}, be32_bytes(5 << 8), frame4})})),
	    "udp 10.0.0.1:50000 > 10.0.0.2:8472", inside);
	add("Geneve", eth4({}, geneve(type_bridged, frame4)), geneve_key, inside);
	add("Geneve options, IP", eth4({}, geneve(type_ipv6, v6, 5)), geneve_key, inside6);
	add("GTP-U", eth4({}, gtpu(1, v4)), gtp_key, inside);
	add("GTP-U extensions", eth4({}, gtpu(1, v6, 3)), gtp_key, inside6);
	add("GTP-U endless extensions", eth4({}, gtpu(1, v6, 40)), gtp_key, "");
	add("GTP-U echo", eth4({}, gtpu(1, v4, 0, 1)), gtp_key, "");
	add("GRE", eth4({}, gre({}, v4)), gre_key, inside);
	add("GRE all fields", eth4({}, gre({.flags = 0xb000, .type = type_ipv6}, v6)), gre_key,
	    inside6);
	add("NVGRE", eth4({}, gre({.flags = 0x2000, .type = type_bridged}, frame4)), gre_key, inside);
	add("GRE of MPLS", eth4({}, gre({.type = type_mpls}, mpls(9, true, v4))), gre_key, inside);
	add("GRE with routing", eth4({}, gre({.flags = 0x4000}, v4)), gre_key, "");
	add("ERSPAN", eth4({}, gre({.flags = 0x1000, .type = 0x88be}, join({Bytes(8, 0), frame6}))),
	    gre_key, inside6);
	const Bytes erspan3 = join({{0x20, 5}, Bytes(10, 0)});
	add("ERSPAN III", eth4({}, gre({.flags = 0x1000, .type = 0x22eb}, join({erspan3, frame6}))),
	    gre_key, inside6);
	Bytes platform = join({erspan3, Bytes(8, 3)});
	platform[11] = 1;
	add("ERSPAN III with subheader",
	    eth4({}, gre({.flags = 0x1000, .type = 0x22eb}, join({platform, frame4}))), gre_key,
	    inside);
	Bytes of_ip = erspan3;
	of_ip[10] = 2 << 2;
	add("ERSPAN III of IP", eth4({}, gre({.flags = 0x1000, .type = 0x22eb}, join({of_ip, v4}))),
	    gre_key, inside);
	add("PPTP", eth4({}, gre({.flags = 0x3001, .type = 0x880b}, ppp(0x0021, v4))), gre_key, inside);
	add("IP in IP", eth4({}, ip_in_ip(v4)), "ipip 10.0.0.1 > 10.0.0.2", inside);
	add("6in4", eth4({}, ip_in_ip(v6)), "ipv6 10.0.0.1 > 10.0.0.2", inside6);
	add("4in6", eth6(extension(60, ip_in_ip(v4))), "ipip 2001:db8::1 > 2001:db8::2", inside);
	add("fragmented tunnel", eth4({.id = 5, .more_fragments = true}, vxlan(5, frame4)), vxlan_key,
	    inside);
	Ip inner_fragment = private_ip;
	inner_fragment.id = 6;
	inner_fragment.fragment_offset = 64;
	add("tunnelled fragment", eth4({}, gre({}, ipv4(inner_fragment, segment(17, Bytes(8, 0))))),
	    gre_key, "udp fragment 0x6 192.168.0.1 > 192.168.0.2");
	add("GTP-U in VXLAN", eth4({}, vxlan(5, ethernet(type_ipv4, ipv4(private_ip, gtpu(1, v6))))),
	    vxlan_key, inside6);
	// Eight tunnels are followed; the ninth is payload.
	Bytes nested = ipv4({.source = "10.9.9.9"}, udp());
	for (int i = 9; i > 0; i--)
		nested = ipv4({.source = "10.1.0." + std::to_string(i)}, ip_in_ip(nested));
	add("deep nesting", ethernet(type_ipv4, nested), "ipip 10.1.0.1 > 10.0.0.2",
	    "ipip 10.1.0.9 > 10.0.0.2");
}

} // namespace

std::vector<Case> all_cases()
{
	std::vector<Case> cases;
	add_links(cases);
	add_ip(cases);
	add_tunnels(cases);
	return cases;
}

} // namespace reframer::test
