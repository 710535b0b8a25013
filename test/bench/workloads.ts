/** All workloads of the bench, in the order of the table. */

import { getBare } from "./workloads/get-bare.ts";
import { getEtcd } from "./workloads/get-etcd.ts";
import { getRedis } from "./workloads/get-redis.ts";
import { putEtcd } from "./workloads/put-etcd.ts";
import { putRedis } from "./workloads/put-redis.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [getBare, getRedis, putRedis, putEtcd, getEtcd];
