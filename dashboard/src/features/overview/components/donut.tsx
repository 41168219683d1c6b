import { exact } from "@/lib/number";
import { Cell, Pie, PieChart, ResponsiveContainer, Tooltip } from "recharts";

export interface Slice {
  name: string;
  value: number;
  color: string;
  opacity: number;
}

export default function Donut({ slices, label }: { slices: readonly Slice[]; label: string }) {
  return (
    <div role="img" aria-label={`${label}: ${slices.map((s) => `${s.name} ${s.value}`).join(", ")}`} className="h-full">
      <ResponsiveContainer width="100%" height="100%" initialDimension={{ width: 160, height: 160 }}>
        <PieChart accessibilityLayer={false}>
          <Pie data={[...slices]} dataKey="value" nameKey="name" innerRadius="68%" outerRadius="96%" paddingAngle={1.5} stroke="none" startAngle={90} endAngle={-270} isAnimationActive={false} rootTabIndex={-1}>
            {slices.map((slice) => (
              <Cell key={slice.name} fill={slice.color} fillOpacity={slice.opacity} />
            ))}
          </Pie>
          <Tooltip isAnimationActive={false} wrapperStyle={{ zIndex: 10 }} content={({ payload }) => (payload?.[0] ? <div className="rounded-md border border-line2 bg-raised px-2 py-1 text-xs text-text shadow-(--shadow)">{`${payload[0].name}: ${exact(Number(payload[0].value))}`}</div> : null)} />
        </PieChart>
      </ResponsiveContainer>
    </div>
  );
}
