package io.erne.agent;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** Networks with a value each; a look-up costs one hash per prefix length in use, however many networks there are. */
public final class CidrMap<V> {
    private final TreeMap<Integer, Map<Address, V>> byLength = new TreeMap<>();

    /** Adds {@code 10.0.0.0/8}, {@code 2001:db8::/32} or a single address. */
    public void put(String cidr, V value) {
        int slash = cidr.indexOf('/');
        Address address = Address.parse(slash < 0 ? cidr : cidr.substring(0, slash));
        if (address == null) {
            throw new IllegalArgumentException("not a network: " + cidr);
        }
        int offset = address.isV4() ? 96 : 0;
        int bits = 128;
        if (slash >= 0) {
            try {
                bits = Integer.parseInt(cidr.substring(slash + 1).strip()) + offset;
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException("not a network: " + cidr, e);
            }
            if (bits < offset || bits > 128) {
                throw new IllegalArgumentException("not a prefix length: " + cidr);
            }
        }
        byLength.computeIfAbsent(bits, unused -> new HashMap<>()).put(address.masked(bits), value);
    }

    /** The value of the narrowest network that holds {@code address}, or null. */
    public V get(Address address) {
        if (address == null) {
            return null;
        }
        for (Map.Entry<Integer, Map<Address, V>> length : byLength.descendingMap().entrySet()) {
            V value = length.getValue().get(address.masked(length.getKey()));
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    public boolean isEmpty() {
        return byLength.isEmpty();
    }
}
