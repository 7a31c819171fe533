"""Files of cgroups as kernels wrote them: of a container that was given half a processor and 64 MiB and wanted more."""

from __future__ import annotations

ID = "6a7f08132752786b1fed453ca0bbff9ab4857867bdd9c0615026b413da87bfef"

V1 = {
    "cpuacct.usage": "1560723008\n",
    "cpuacct.stat": "user 154\nsystem 1\n",
    "cpu.stat": "nr_periods 32\nnr_throttled 30\nthrottled_time 1469903079\nnr_bursts 0\nburst_time 0\n",
    "cpu.shares": "1024\n",
    "cpu.cfs_quota_us": "50000\n",
    "cpu.cfs_period_us": "100000\n",
    "memory.stat": (
        "cache 0\nrss 65536\nmapped_file 0\nhierarchical_memory_limit 67108864\nhierarchical_memsw_limit 134217728\n"
        "total_cache 8192\ntotal_rss 65536\ntotal_rss_huge 0\ntotal_shmem 0\ntotal_mapped_file 4096\ntotal_swap 12288\n"
        "total_pgpgin 853\ntotal_pgpgout 837\ntotal_pgfault 1144\ntotal_pgmajfault 2\ntotal_inactive_anon 61440\n"
        "total_active_anon 4096\ntotal_inactive_file 100000\ntotal_active_file 4096\ntotal_unevictable 0\n"
    ),
    "memory.usage_in_bytes": "487424\n",
    "memory.kmem.usage_in_bytes": "311296\n",
    "memory.max_usage_in_bytes": "4341760\n",
    "memory.failcnt": "7\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "memory.limit_in_bytes": "67108864\n",
    "memory.memsw.limit_in_bytes": "134217728\n",
    "memory.soft_limit_in_bytes": "33554432\n",
    "cgroup.procs": "4711\n4712\n",
    "blkio.throttle.io_service_bytes_recursive": (
        "254:0 Read 1048576\n254:0 Write 4096\n254:0 Sync 1052672\n254:0 Async 0\n254:0 Discard 0\n"
        "254:0 Total 1052672\nTotal 1052672\n"
    ),
    "blkio.throttle.io_serviced_recursive": "254:0 Read 40\n254:0 Write 1\n254:0 Total 41\nTotal 41\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
}

PRESSURE = (
    "some avg10=90.53 avg60=77.62 avg300=55.31 total=9103985148\nfull avg10=0.00 avg60=1.50 avg300=0.25 total=33579\n"
)

NO_PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

V2 = {
    "cpu.stat": (
        "usage_usec 1560723\nuser_usec 1540000\nsystem_usec 20723\ncore_sched.force_idle_usec 0\nnr_periods 32\n"
        "nr_throttled 30\nthrottled_usec 1469903\nnr_bursts 0\nburst_usec 0\n"
    ),
    "cpu.max": "50000 100000\n",
    "cpu.weight": "39\n",
    "cpu.pressure": PRESSURE,
    "memory.current": "487424\n",
    "memory.stat": (
        "anon 65536\nfile 8192\nkernel 311296\nkernel_stack 16384\npagetables 40960\nsec_pagetables 0\npercpu 1536\n"
        "sock 0\nvmalloc 0\nshmem 0\nzswap 0\nzswapped 0\nfile_mapped 4096\nfile_dirty 0\nfile_writeback 0\n"
        "swapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 61440\nactive_anon 4096\n"
        "inactive_file 100000\nactive_file 4096\nunevictable 0\nslab_reclaimable 99144\nslab_unreclaimable 120464\n"
        "slab 219608\nworkingset_refault_anon 0\nworkingset_refault_file 0\npgfault 1144\npgmajfault 2\n"
    ),
    "memory.max": "67108864\n",
    "memory.high": "33554432\n",
    "memory.peak": "4341760\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n",
    "memory.swap.current": "12288\n",
    "memory.swap.max": "67108864\n",
    "memory.pressure": NO_PRESSURE,
    "io.stat": "254:0 rbytes=1048576 wbytes=4096 rios=40 wios=1 dbytes=0 dios=0\n7:0 \n",
    "io.pressure": "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
    "cgroup.procs": "4711\n4712\n",
}
