import { cn } from "@/lib/cn";
import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button";

interface OverlayProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  className?: string;
}

const veil = "fixed inset-0 z-40 bg-black/50 [animation:overlay-in_.12s_ease-out]";

function Head({ title, description }: Pick<OverlayProps, "title" | "description">) {
  return (
    <header className="flex items-start justify-between gap-3 border-b px-4 py-3">
      <div className="min-w-0">
        <Radix.Title className="text-base leading-6 font-semibold break-words">{title}</Radix.Title>
        {description ? <Radix.Description className="text-xs text-text3">{description}</Radix.Description> : <Radix.Description className="sr-only">Details</Radix.Description>}
      </div>
      <Radix.Close asChild>
        <Button variant="ghost" size="iconSm" aria-label="Close">
          <X />
        </Button>
      </Radix.Close>
    </header>
  );
}

export function Dialog({ open, onOpenChange, title, description, children, className }: OverlayProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={veil} />
        <Radix.Content data-blocks-keys className={cn("fixed top-1/2 left-1/2 z-50 flex max-h-[88dvh] w-[min(34rem,calc(100vw-1.5rem))] -translate-x-1/2 -translate-y-1/2 flex-col rounded-lg border border-line2 bg-panel shadow-(--shadow) outline-none", className)}>
          <Head title={title} description={description} />
          <div className="min-h-0 flex-1 overflow-y-auto p-4">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** A side panel. It covers the page only where there is no room beside it. */
export function Sheet({ open, onOpenChange, title, description, children, className }: OverlayProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange} modal={false}>
      <Radix.Portal>
        <Radix.Content
          onInteractOutside={(event) => event.preventDefault()}
          className={cn("fixed inset-y-0 right-0 z-40 flex w-[min(38rem,100vw)] flex-col border-l border-line2 bg-panel shadow-(--shadow) outline-none [animation:sheet-in_.16s_ease-out]", className)}
        >
          <Head title={title} description={description} />
          <div className="min-h-0 flex-1 overflow-y-auto">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
