package io.erne.agent;

/** An IP address as 128 bits; IPv4 as its mapped form, so that {@code ::ffff:10.0.0.1} is {@code 10.0.0.1}. */
public record Address(long high, long low) implements Comparable<Address> {
    private static final long V4 = 0xffff_0000_0000L;

    /** Reads a literal and never asks a resolver; null if it is none. Takes a port, brackets and a zone too. */
    public static Address parse(String text) {
        if (text == null || text.length() > 80) {
            return null;
        }
        String literal = text.strip();
        if (literal.startsWith("[")) {
            int end = literal.indexOf(']');
            if (end < 0) {
                return null;
            }
            literal = literal.substring(1, end);
        } else if (literal.indexOf(':') >= 0 && literal.indexOf(':') == literal.lastIndexOf(':')) {
            literal = literal.substring(0, literal.indexOf(':'));
        }
        int zone = literal.indexOf('%');
        if (zone >= 0) {
            literal = literal.substring(0, zone);
        }
        return literal.indexOf(':') >= 0 ? v6(literal) : v4(literal);
    }

    private static Address v4(String literal) {
        long value = v4Bits(literal);
        return value < 0 ? null : new Address(0, V4 | value);
    }

    private static long v4Bits(String literal) {
        String[] parts = literal.split("\\.", -1);
        if (parts.length != 4) {
            return -1;
        }
        long value = 0;
        for (String part : parts) {
            int number = number(part, 10, 3);
            if (number < 0 || number > 255) {
                return -1;
            }
            value = value << 8 | number;
        }
        return value;
    }

    private static int number(String digits, int radix, int length) {
        if (digits.isEmpty() || digits.length() > length) {
            return -1;
        }
        int value = 0;
        for (int i = 0; i < digits.length(); i++) {
            char c = digits.charAt(i);
            int digit = c < 128 ? Character.digit(c, radix) : -1;
            if (digit < 0) {
                return -1;
            }
            value = value * radix + digit;
        }
        return value;
    }

    private static Address v6(String literal) {
        int gap = literal.indexOf("::");
        if (gap >= 0 && literal.indexOf("::", gap + 1) >= 0) {
            return null;
        }
        int[] head = groups(gap < 0 ? literal : literal.substring(0, gap));
        int[] tail = gap < 0 ? new int[0] : groups(literal.substring(gap + 2));
        if (head == null || tail == null || (gap < 0 ? head.length != 8 : head.length + tail.length > 7)) {
            return null;
        }
        int[] all = new int[8];
        System.arraycopy(head, 0, all, 0, head.length);
        System.arraycopy(tail, 0, all, 8 - tail.length, tail.length);
        long high = 0;
        long low = 0;
        for (int i = 0; i < 4; i++) {
            high = high << 16 | all[i];
            low = low << 16 | all[i + 4];
        }
        return new Address(high, low);
    }

    private static int[] groups(String text) {
        if (text.isEmpty()) {
            return new int[0];
        }
        String[] parts = text.split(":", -1);
        boolean dotted = parts[parts.length - 1].indexOf('.') >= 0;
        int[] groups = new int[parts.length + (dotted ? 1 : 0)];
        if (groups.length > 8) {
            return null;
        }
        for (int i = 0; i < parts.length; i++) {
            if (dotted && i == parts.length - 1) {
                long bits = v4Bits(parts[i]);
                if (bits < 0) {
                    return null;
                }
                groups[i] = (int) (bits >> 16);
                groups[i + 1] = (int) (bits & 0xffff);
            } else if ((groups[i] = number(parts[i], 16, 4)) < 0) {
                return null;
            }
        }
        return groups;
    }

    public boolean isV4() {
        return high == 0 && low >>> 32 == 0xffff;
    }

    /** The address with all but its first {@code bits} bits cleared. */
    public Address masked(int bits) {
        long first = bits <= 0 ? 0 : bits >= 64 ? high : high & -1L << 64 - bits;
        long second = bits <= 64 ? 0 : bits >= 128 ? low : low & -1L << 128 - bits;
        return new Address(first, second);
    }

    @Override
    public int compareTo(Address other) {
        int order = Long.compare(high, other.high);
        return order != 0 ? order : Long.compare(low, other.low);
    }

    @Override
    public String toString() {
        if (isV4()) {
            return (low >> 24 & 255) + "." + (low >> 16 & 255) + "." + (low >> 8 & 255) + "." + (low & 255);
        }
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            long half = i < 4 ? high : low;
            out.append(i == 0 ? "" : ":").append(Long.toHexString(half >>> 48 - i % 4 * 16 & 0xffff));
        }
        return out.toString();
    }
}
