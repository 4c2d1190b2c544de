<?php
// Any file can be named: the hole.
include 'pages/' . $_GET['page'];
