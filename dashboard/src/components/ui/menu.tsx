import { cn } from "@/lib/cn";
import { Check, ChevronDown } from "lucide-react";
import { DropdownMenu as Radix } from "radix-ui";
import type { ReactNode } from "react";

export function Menu({ trigger, children, align = "end" }: { trigger: ReactNode; children: ReactNode; align?: "start" | "end" }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content align={align} sideOffset={5} className="z-50 max-h-[min(32rem,var(--radix-dropdown-menu-content-available-height))] min-w-44 overflow-y-auto rounded-md border border-line2 bg-panel p-1 shadow-(--shadow) [animation:pop-in_.1s_ease-out]">
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export function MenuItem({ children, onSelect, checked, danger }: { children: ReactNode; onSelect: () => void; checked?: boolean; danger?: boolean }) {
  return (
    <Radix.Item onSelect={onSelect} className={cn("flex h-8 cursor-default items-center gap-2 rounded px-2 text-sm text-text2 outline-none data-[highlighted]:bg-raised data-[highlighted]:text-text [&_svg]:size-3.5", danger && "text-sev-critical")}>
      {children}
      {checked && <Check className="ml-auto text-accent" />}
    </Radix.Item>
  );
}

/** A download: the browser fetches the address itself, so that nothing of it is held in the page. */
export function MenuDownload({ href, children }: { href: string; children: ReactNode }) {
  return (
    <Radix.Item asChild>
      <a href={href} download className="flex h-8 cursor-default items-center gap-2 rounded px-2 text-sm text-text2 outline-none data-[highlighted]:bg-raised data-[highlighted]:text-text [&_svg]:size-3.5">
        {children}
      </a>
    </Radix.Item>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <Radix.Label className="px-2 py-1.5 text-2xs text-text3">{children}</Radix.Label>;
}
export const MenuSeparator = () => <Radix.Separator className="my-1 h-px bg-line" />;

/** A drop-down that shows its value: one of some. */
export function Choice<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: readonly { value: T; label: ReactNode }[]; onChange: (value: T) => void }) {
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" className="inline-flex h-8 shrink-0 items-center gap-1.5 rounded-md border border-line2 bg-raised px-2.5 text-sm font-medium hover:border-text3">
          <span className="sr-only">{label}: </span>
          {options.find((o) => o.value === value)?.label ?? value}
          <ChevronDown className="size-3.5 text-text3" />
        </button>
      }
    >
      {options.map((o) => (
        <MenuItem key={o.value} checked={o.value === value} onSelect={() => onChange(o.value)}>
          {o.label}
        </MenuItem>
      ))}
    </Menu>
  );
}
