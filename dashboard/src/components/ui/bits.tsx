import { cn } from "@/lib/cn";
import { Check, Copy } from "lucide-react";
import { useState, type ReactNode } from "react";
import { Button } from "./button";

export const Kbd = ({ children }: { children: ReactNode }) => <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line2 bg-raised px-1 font-mono text-2xs text-text2">{children}</kbd>;

export const Chip = ({ children, className, title }: { children: ReactNode; className?: string; title?: string }) => (
  <span title={title} className={cn("inline-flex h-5 items-center gap-1 rounded border border-line2 bg-raised px-1.5 text-2xs font-medium whitespace-nowrap text-text2", className)}>
    {children}
  </span>
);

/** A country as its two letters: flags are drawn differently everywhere and not at all on some systems. */
export const Country = ({ code }: { code: string | null | undefined }) =>
  code ? <abbr title={countryName(code)} className="mono inline-flex h-4 items-center rounded-sm bg-raised px-1 text-[0.625rem] leading-none font-semibold text-text2 no-underline">{code}</abbr> : null;

const names = new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });
function countryName(code: string): string {
  try {
    return names.of(code) ?? code;
  } catch {
    return code;
  }
}

export const Skeleton = ({ className }: { className?: string }) => <div className={cn("animate-pulse rounded bg-raised", className)} />;

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <Button variant="ghost" size="sm" onClick={copy} aria-label={label}>
      {done ? <Check className="text-ok" /> : <Copy />}
      {done ? "Copied" : label}
    </Button>
  );
}

export function Snippet({ text, className }: { text: string; className?: string }) {
  return (
    <div className={cn("relative max-w-full min-w-0 rounded-md border bg-bg text-left", className)}>
      <pre className="mono overflow-x-auto p-3 pr-20 text-xs leading-5 whitespace-pre">{text}</pre>
      <div className="absolute top-1 right-1">
        <CopyButton text={text} />
      </div>
    </div>
  );
}

export function Empty({ title, children, className, testId }: { title: string; children?: ReactNode; className?: string; testId?: string }) {
  return (
    <div data-testid={testId} className={cn("mx-auto flex h-full max-w-xl flex-col items-center justify-center gap-2 p-4 text-center", className)}>
      <p className="text-sm font-medium text-text">{title}</p>
      {children && <div className="w-full text-xs text-text3">{children}</div>}
    </div>
  );
}

export function Problem({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-md border border-sev-high/40 bg-sev-high/10 px-3 py-2 text-xs">
      <span className="min-w-0 flex-1">{error.message}</span>
      {retry && (
        <Button size="sm" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}
