package io.erne.agent;

import java.util.List;

/**
 * Who sent a request. {@code X-Forwarded-For} is read from right to left and only through proxies that the profile
 * trusts: what stands left of the first address that is no trusted proxy was written by the sender and proves nothing.
 */
public final class ClientAddress {
    /** Hops looked at, so that a header of thousands of addresses costs nothing. */
    static final int HOPS_MAX = 32;

    private ClientAddress() {}

    /** The client's address; {@code peer} as given if it is not an IP address. */
    public static String of(String peer, List<String> forwardedFor, CidrMap<Boolean> trusted) {
        Address current = Address.parse(peer);
        if (current == null) {
            return peer == null ? "" : peer;
        }
        int hops = 0;
        for (int i = forwardedFor.size() - 1; i >= 0; i--) {
            String header = forwardedFor.get(i);
            for (int end = header.length(); end >= 0; ) {
                if (trusted.get(current) == null || ++hops > HOPS_MAX) {
                    return current.toString();
                }
                int comma = header.lastIndexOf(',', end - 1);
                Address hop = Address.parse(header.substring(comma + 1, end));
                if (hop == null) {
                    return current.toString();
                }
                current = hop;
                end = comma < 0 ? -1 : comma;
            }
        }
        return current.toString();
    }
}
