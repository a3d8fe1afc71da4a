//! L2: the user plane in PostgreSQL: ports, pools, migrations.
