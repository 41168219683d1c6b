import { cn } from "@/lib/cn";

/** The sea eagle, wings open. */
export const Mark = ({ className }: { className?: string }) => (
  <svg viewBox="0 0 32 32" className={cn("size-7", className)} aria-hidden="true">
    <path d="M2 8.500c6.200.2 10.300 2 13 5l1-2.200 1 2.200c2.700-3 6.800-4.800 13-5-2.500 5.800-6.500 9.100-11.100 10.200L16 27l-2.900-8.300C8.500 17.600 4.500 14.300 2 8.500Z" fill="var(--accent)" />
    <path d="m16 11.300 1 2.200-1 3.300-1-3.300Z" fill="var(--panel)" />
  </svg>
);
