import { cn } from "@/lib/cn";
import { cva, type VariantProps } from "class-variance-authority";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";

const styles = cva(
  "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap transition-colors disabled:pointer-events-none disabled:opacity-45 [&_svg]:size-3.5 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        primary: "bg-accent text-bg hover:brightness-110",
        secondary: "border border-line2 bg-raised text-text hover:border-text3",
        ghost: "text-text2 hover:bg-raised hover:text-text",
        danger: "border border-sev-critical/50 text-sev-critical hover:bg-sev-critical/10",
      },
      size: { sm: "h-7 px-2 text-xs", md: "h-8 px-3 text-sm", lg: "h-10 px-4 text-base", icon: "size-8", iconSm: "size-6 rounded" },
    },
    defaultVariants: { variant: "secondary", size: "md" },
  },
);

export function Button({ className, variant, size, asChild, type, ...props }: ComponentProps<"button"> & VariantProps<typeof styles> & { asChild?: boolean }) {
  const Tag = asChild ? Slot.Root : "button";
  return <Tag type={asChild ? undefined : (type ?? "button")} className={cn(styles({ variant, size }), className)} {...props} />;
}
