import { phrases } from "@/lib/exceptions";
import type { Where as Conditions } from "@/lib/types";

/** An exception's conditions in words; all of them must hold. */
export function Where({ where }: { where: Conditions }) {
  return (
    <span className="flex flex-wrap items-center gap-1 text-xs">
      {phrases(where).map(([field, how, values], i) => (
        <span key={`${field}${how}`} className="inline-flex max-w-full flex-wrap items-center gap-1">
          {i > 0 && <span className="text-text3">and</span>}
          <span className="inline-flex max-w-full flex-wrap gap-1 rounded border border-line2 bg-raised px-1.5 py-px">
            <span className="mono text-text2">{field}</span>
            <span className="text-text3">{how}</span>
            <span className="mono break-all">{values.join(" or ")}</span>
          </span>
        </span>
      ))}
    </span>
  );
}
